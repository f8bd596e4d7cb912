import { describe, expect, test } from 'vitest';
import { deliverLane } from './deliver.ts';
import { sweepHooks } from './sweep.ts';
import { batch, hooksRig } from './test-rig.ts';

const rig = hooksRig();

describe('a crash', () => {
  test('before the attempt is recorded makes it again with the same id', async () => {
    const got = await rig.receiver();
    const { id } = await rig.endpoint(got.url);
    await rig.happens([id], batch());
    const broken = new Proxy(rig.bucket, {
      get: (target, name) => {
        const value = Reflect.get(target, name);
        return name === 'create'
          ? () => Promise.reject(new Error('crash'))
          : typeof value === 'function'
            ? value.bind(target)
            : value;
      },
    });
    await expect(
      deliverLane({ ...rig.deps, bucket: broken }, rig.jobs[0] ?? { tenant: '', endpointId: '', lane: '' }),
    ).rejects.toThrow('crash');
    await rig.work();
    expect(got.seen).toHaveLength(2);
    expect(new Set(got.seen.map((event) => event.headers['webhook-id'])).size).toBe(1);
  });

  test('after the receiver took it posts nothing again', async () => {
    const got = await rig.receiver();
    const { id } = await rig.endpoint(got.url);
    await rig.happens([id], batch());
    let creates = 0;
    const broken = new Proxy(rig.bucket, {
      get: (target, name) => {
        const value = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        // The attempt is recorded, then the process dies.
        return name === 'create' && ++creates > 1 ? () => Promise.reject(new Error('crash')) : value.bind(target);
      },
    });
    await expect(
      deliverLane({ ...rig.deps, bucket: broken }, rig.jobs[0] ?? { tenant: '', endpointId: '', lane: '' }),
    ).rejects.toThrow('crash');
    await rig.work();
    expect(got.seen).toHaveLength(1);
    expect(await rig.deliveries(id)).toMatchObject([{ status: 'delivered' }]);
  });

  test('of the whole queue loses nothing: the sweep finds what is due', async () => {
    const got = await rig.receiver();
    const { id } = await rig.endpoint(got.url);
    for (let i = 0; i < 5; i++) await rig.happens([id], batch());
    rig.jobs.length = 0;
    expect(await sweepHooks(rig.deps)).toMatchObject({ lanes: 5 });
    await rig.work();
    expect(got.seen).toHaveLength(5);
    expect(await sweepHooks(rig.deps)).toMatchObject({ lanes: 0 });
    // The same event again, as a reconcile after a crash makes it, is not sent again.
    const ids: string[] = [];
    for await (const { key } of rig.bucket.list('hooks/events/')) ids.push(key);
    expect(ids).toHaveLength(5);
  });

  test('after which the batch is told of again tells nothing new', async () => {
    const got = await rig.receiver();
    const { id } = await rig.endpoint(got.url);
    const one = batch();
    await rig.happens([id], one);
    await rig.work();
    await rig.happens([id], one);
    await rig.work();
    expect(got.seen).toHaveLength(1);
  });
});
