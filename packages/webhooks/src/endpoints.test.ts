import { setTimeout as sleep } from 'node:timers/promises';
import { layout } from '@batchmill/bucket';
import { createGuard } from '@batchmill/guard';
import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { redeliver, sendTest } from './again.ts';
import { GIVEN_UP } from './deliver.ts';
import { readEndpoint } from './endpoint.ts';
import { createEndpoint, deleteEndpoint, rotateSecret, updateEndpoint } from './endpoints.ts';
import { sweepHooks } from './sweep.ts';
import { batch, guard, hooksRig, TENANT } from './test-rig.ts';

const rig = hooksRig();

describe('an endpoint', () => {
  test('that says 410 is switched off at once, and the others are told', async () => {
    const gone = await rig.receiver((_, response) => void response.writeHead(410).end());
    const other = await rig.receiver();
    const [a, b] = [await rig.endpoint(gone.url), await rig.endpoint(other.url)];
    await rig.happens([a.id], batch());
    await rig.work();
    expect(await readEndpoint(rig.bucket, TENANT, a.id)).toMatchObject({ disabled: { reason: 'gone' } });
    expect(gone.seen).toHaveLength(1);
    expect(other.seen).toMatchObject([{ type: 'webhook_endpoint.disabled' }]);
    await rig.happens([a.id, b.id], batch());
    await rig.work();
    expect(gone.seen).toHaveLength(1);
    // Switched on again, it gets what happens from then on.
    gone.answer = (_, response) => void response.end();
    await updateEndpoint(rig.bucket, guard, TENANT, a.id, { disabled: false });
    await rig.happens([a.id], batch());
    await rig.work();
    expect(gone.seen).toHaveLength(2);
    await updateEndpoint(rig.bucket, guard, TENANT, a.id, { disabled: true });
    const [last] = await rig.deliveries(a.id);
    await expect(redeliver(rig.deps, TENANT, a.id, last?.id ?? '')).rejects.toMatchObject({ status: 409 });
  });

  test('that keeps failing is switched off', async () => {
    rig.deps = { ...rig.deps, schedule: [0] };
    const down = await rig.receiver((_, response) => void response.writeHead(503).end());
    const { id } = await rig.endpoint(down.url);
    for (let i = 0; i < GIVEN_UP; i++) {
      expect((await readEndpoint(rig.bucket, TENANT, id))?.disabled).toBeNull();
      await rig.happens([id], batch());
      await rig.work();
    }
    expect(await readEndpoint(rig.bucket, TENANT, id)).toMatchObject({ disabled: { reason: 'failing' } });
    // Switched on again, it has as many chances as before.
    await sleep(1_100);
    await updateEndpoint(rig.bucket, guard, TENANT, id, { disabled: false });
    await rig.happens([id], batch());
    await rig.work();
    expect((await readEndpoint(rig.bucket, TENANT, id))?.disabled).toBeNull();
  });

  test('with a rotated secret is signed with both while they overlap', async () => {
    const got = await rig.receiver();
    const { id, secret: old = '' } = await rig.endpoint(got.url);
    const { secret = '' } = (await rotateSecret(rig.bucket, TENANT, id, 60)) ?? {};
    expect(secret).not.toBe(old);
    await rig.happens([id], batch());
    await rig.work();
    const headers = Object.fromEntries(Object.entries(got.seen[0]?.headers ?? {}).map(([k, v]) => [k, String(v)]));
    for (const one of [old, secret]) new Webhook(one).verify(got.seen[0]?.body ?? '', headers);
  });

  test('can be tried, sent to again, and deleted with what waits for it', async () => {
    const got = await rig.receiver((n, response) => void response.writeHead(n === 1 ? 418 : 200).end('hello'));
    const { id } = await rig.endpoint(got.url);
    expect(await sendTest(rig.bucket, rig.deps.sender, TENANT, id)).toMatchObject({
      response_code: 418,
      response_body: 'hello',
    });
    await rig.happens([id], batch());
    await rig.work();
    const [first] = await rig.deliveries(id);
    const again = await redeliver(rig.deps, TENANT, id, first?.id ?? '');
    expect(again).toMatchObject({ event_id: first?.event_id, status: 'pending' });
    await rig.work();
    expect(got.seen.map((event) => event.headers['webhook-id']).slice(1)).toEqual([first?.event_id, first?.event_id]);
    expect(await redeliver(rig.deps, 'other', id, first?.id ?? '')).toBeNull();
    await rig.happens([id], batch());
    expect(await deleteEndpoint(rig.bucket, TENANT, id)).toBe(true);
    await rig.work();
    expect(got.seen).toHaveLength(3);
  });

  test('cannot be in our own network, however it is written', async () => {
    for (const url of [
      'http://10.0.0.1/',
      'http://169.254.169.254/latest',
      'http://[::1]/',
      'http://2130706433:81/',
      'ftp://x/',
      'https://u:p@example.com/',
    ])
      await expect(
        createEndpoint(rig.bucket, createGuard({}), TENANT, { url, events: ['batch.completed'] }),
      ).rejects.toMatchObject({ status: 400 });
  });
});

test('what was kept long enough is deleted, and nothing before', async () => {
  const got = await rig.receiver();
  const { id } = await rig.endpoint(got.url);
  await rig.happens([id], batch());
  await rig.work();
  expect(await sweepHooks(rig.deps)).toMatchObject({ deleted: 0 });
  expect((await sweepHooks(rig.deps, Date.now() + 40 * 86_400_000)).deleted).toBeGreaterThan(0);
  expect(await rig.deliveries(id)).toEqual([]);
  const left: string[] = [];
  for await (const { key } of rig.bucket.list(layout.hook.keptPrefix)) left.push(key);
  expect(left).toEqual([]);
});
