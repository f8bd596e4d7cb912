import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { getBatch } from '@batchmill/batch';
import { type Bucket, layout, openBucket } from '@batchmill/bucket';
import { newId } from '@batchmill/contract';
import { readFile } from '@batchmill/files';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Accepted, Gatherer, type GatherTrigger } from './gatherer.ts';
import { Ledger } from './ledger.ts';
import { sweepWindows } from './sweep.ts';
import { closeWindow, itemId, openWindows } from './window.ts';

let folder: string;
let bucket: Bucket;
let triggered: string[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-gather-'));
  bucket = await openBucket(pathToFileURL(folder).href);
  triggered = [];
  return async () => {};
});
afterEach(async () => {
  await bucket.close();
  await rm(folder, { recursive: true, force: true });
});

const deps = () => ({
  bucket,
  trigger: async (_: string, id: string) => {
    triggered.push(id);
  },
});
const errors: unknown[] = [];
const gatherer = (more = {}) => new Gatherer({ batch: deps(), onError: (error) => errors.push(error), ...more });
const trigger = (more: Partial<GatherTrigger> = {}): GatherTrigger => ({
  tenant: 'acme',
  id: `trg_${'0'.repeat(32)}`,
  name: 'scans',
  endpoint: '/v1/ocr',
  completionWindow: '24h',
  policy: async () => null,
  maxItems: 1_000,
  maxBytes: 10_000_000,
  maxWaitSeconds: 60,
  ...more,
});
const event = (key: string) => ({ key, item: { url: '/v1/ocr', body: { key } } });

/** custom_ids of each batch there is. */
async function delivered(): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for await (const { key } of bucket.list('batches/')) {
    const id = key.split('/')[2] ?? '';
    const batch = await getBatch(deps(), 'acme', id);
    const file = await readFile(bucket, 'acme', batch?.input_file_id ?? '');
    let text = '';
    for await (const chunk of file ?? []) text += Buffer.from(chunk).toString('utf8');
    found.set(
      id,
      text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).custom_id),
    );
  }
  return found;
}
const items = async () => [...(await delivered()).values()].flat().sort();
test('many events become few batches, and each was told where it would be', async () => {
  const g = gatherer();
  const accepted: Accepted[] = [];
  await Promise.all(
    Array.from({ length: 250 }, async (_, i) =>
      accepted.push(...(await g.add(trigger({ maxItems: 100 }), [event(`${i}`)]))),
    ),
  );
  await g.close();
  const batches = await delivered();
  expect([...batches.values()].map((all) => all.length).sort()).toEqual([100, 100, 50]);
  for (const one of accepted) expect(batches.get(one.batch_id)).toContain(one.item_id);
  expect(new Set(accepted.map((one) => one.item_id)).size).toBe(250);
  expect([...new Set(triggered)].sort()).toEqual([...batches.keys()].sort());
  const batch = await getBatch(deps(), 'acme', triggered[0] ?? '');
  expect(batch?.metadata).toEqual({ trigger_id: trigger().id, trigger_name: 'scans' });
  expect(errors).toEqual([]);
});

test('windows close by bytes and by time', async () => {
  const g = gatherer();
  await g.add(trigger({ maxBytes: 300 }), ['a', 'b', 'c', 'd', 'e'].map(event));
  await g.close();
  expect((await delivered()).size).toBeGreaterThan(1);
  expect(await items()).toHaveLength(5);
  const quick = gatherer();
  const [accepted] = await quick.add(trigger({ id: `trg_${'1'.repeat(32)}`, maxWaitSeconds: 1 }), [event('late')]);
  await expect
    .poll(async () => (await delivered()).get(accepted?.batch_id ?? ''), { timeout: 5_000 })
    .toEqual([itemId('late')]);
  await quick.close();
});

test('an event that comes again, now, later, or after a restart, is the item it was', async () => {
  const first = gatherer();
  const [[a], [b]] = await Promise.all([first.add(trigger(), [event('x')]), first.add(trigger(), [event('x')])]);
  expect(a).toMatchObject({ duplicate: false });
  expect(b).toEqual({ ...a, duplicate: true });
  expect(await first.add(trigger(), [event('x')])).toEqual([{ ...a, duplicate: true }]);
  const restarted = gatherer();
  expect(await restarted.add(trigger(), [event('x')])).toEqual([{ ...a, duplicate: true }]);
  await first.close();
  const again = gatherer();
  expect(await again.add(trigger(), [event('x'), event('y')])).toMatchObject([
    { duplicate: true },
    { duplicate: false },
  ]);
  await again.close();
  expect(await items()).toEqual([itemId('x'), itemId('y')].sort());
});

test('an event that comes through several processes at once becomes one item', async () => {
  const processes = [gatherer(), gatherer(), gatherer()];
  // All know nothing yet of each other.
  await Promise.all(processes.map((p) => p.add(trigger(), [event('warm')])));
  await Promise.all(
    processes.flatMap((p, i) => ['a', 'b', 'c'].map((k) => p.add(trigger(), [event(k), event(`${k}${i}`)]))),
  );
  await Promise.all(processes.map((p) => p.close()));
  const all = ['warm', 'a', 'b', 'c', ...[0, 1, 2].flatMap((i) => ['a', 'b', 'c'].map((k) => `${k}${i}`))];
  expect(await items()).toEqual(all.map(itemId).sort());
});

test('what a dead process acknowledged, the sweep makes a batch of, once', async () => {
  const dead = gatherer();
  const accepted = await dead.add(trigger(), ['a', 'b'].map(event));
  expect(await sweepWindows(deps())).toMatchObject({ closed: 0 });
  const later = Date.now() + 80_000;
  await Promise.all([sweepWindows(deps(), later), sweepWindows(deps(), later)]);
  expect(await delivered()).toEqual(new Map([[accepted[0]?.batch_id, ['a', 'b'].map(itemId)]]));
  // It was only slow: what it still holds open is closed, and what comes next goes elsewhere.
  const [next] = await dead.add(trigger(), [event('c')]);
  expect(next?.batch_id).not.toBe(accepted[0]?.batch_id);
  await dead.close();
  expect(await items()).toEqual(['a', 'b', 'c'].map(itemId).sort());
  expect(await sweepWindows(deps(), later)).toMatchObject({ closed: 0 });
});

test('closing that stops anywhere goes on, and comes out the same', async () => {
  const g = gatherer();
  const [accepted] = await g.add(trigger(), ['a', 'b'].map(event));
  const [at] = await openWindows(bucket, 'acme', trigger().id);
  if (at === undefined) throw new Error('no window');
  // A crash at every step: the n-th call of the store is the last one.
  let steps = 0;
  for (let most = 0; ; most++) {
    const dying = stopping(most);
    const error = await closeWindow({ ...deps(), bucket: dying }, new Ledger(dying, 'acme', at.trigger), at).catch(
      (e: unknown) => e,
    );
    if (!(error instanceof Error)) break;
    steps++;
  }
  expect(steps).toBeGreaterThan(10);
  expect(await delivered()).toEqual(new Map([[accepted?.batch_id, ['a', 'b'].map(itemId)]]));
  const left: string[] = [];
  for await (const { key } of bucket.list('index/windows/')) left.push(key);
  for await (const { key } of bucket.list(layout.window.inboxPrefix(at))) left.push(key);
  expect(left).toEqual([]);
  await g.close();
});

/** The bucket of a process that dies at its n-th call. */
function stopping(n: number): Bucket {
  let calls = 0;
  return new Proxy(bucket, {
    get: (target, name) => {
      const value = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (calls++ < n) return Reflect.apply(value, target, args);
        const dead = Promise.reject(new Error('dead'));
        dead.catch(() => {});
        return name === 'list' ? { [Symbol.asyncIterator]: () => ({ next: () => dead }) } : dead;
      };
    },
  });
}

test('whatever processes, crashes and sweeps meet, an acknowledged event is one item', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({ keys: fc.array(fc.constantFrom(...'abcdefgh'), { minLength: 1, maxLength: 3 }), dies: fc.nat(60) }),
        { minLength: 2, maxLength: 5 },
      ),
      fc.nat(3),
      async (processes, sweeps) => {
        bucket = await openBucket(pathToFileURL(join(folder, newId('win_'))).href);
        const { id } = trigger();
        const acknowledged = new Set<string>();
        const later = () => Date.now() + 80_000;
        await Promise.all([
          ...processes.map(async ({ keys, dies }) => {
            // Some live long enough to close what they opened, some do not.
            const own = { ...deps(), bucket: dies > 50 ? bucket : stopping(dies) };
            const g = new Gatherer({ batch: own, gatherMs: 0, onError: () => {} });
            for (const key of keys)
              for (const { item_id: item } of await g.add(trigger({ maxItems: 2 }), [event(key)]).catch(() => []))
                acknowledged.add(item);
            await g.close();
          }),
          ...Array.from({ length: sweeps }, () => sweepWindows(deps(), later())),
        ]);
        await sweepWindows(deps(), later());
        expect(await openWindows(bucket, 'acme', id)).toEqual([]);
        const all = await items();
        expect(new Set(all).size).toBe(all.length);
        for (const item of acknowledged) expect(all).toContain(item);
      },
    ),
    { numRuns: 15 },
  );
});

test('of the rest of closed windows nothing stays but the last entry', async () => {
  const g = gatherer();
  for (const key of ['a', 'b', 'c']) await g.add(trigger({ maxItems: 1 }), [event(key)]);
  await g.close();
  const keys = async (prefix: string) => {
    const found: string[] = [];
    for await (const { key } of bucket.list(prefix)) found.push(key);
    return found;
  };
  expect(await keys('ledgers/')).toHaveLength(3);
  expect(await sweepWindows(deps())).toMatchObject({ removed: 0 });
  expect(await sweepWindows(deps(), Date.now() + 4 * 86_400_000)).toMatchObject({ removed: 5 });
  expect(await keys('windows/')).toEqual([]);
  expect(await keys('index/ledgers/')).toEqual([]);
  expect(await keys('ledgers/')).toHaveLength(1);
  // Numbers go on.
  const next = gatherer();
  await next.add(trigger(), [event('d')]);
  await next.close();
  expect(await keys('ledgers/')).toHaveLength(2);
});

test('nothing is acknowledged while the store is down or too much waits', async () => {
  const down = new Proxy(bucket, {
    get: (target, name) => {
      const value = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return name === 'put' ? () => Promise.reject(new Error('down')) : value.bind(target);
    },
  });
  const failing = gatherer({ batch: { ...deps(), bucket: down } });
  await expect(failing.add(trigger(), [event('a')])).rejects.toThrow('down');
  const small = gatherer({ mostWaiting: 3 });
  const outcomes = await Promise.allSettled(['a', 'b', 'c', 'd'].map((k) => small.add(trigger(), [event(k)])));
  expect(outcomes.map((o) => o.status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected']);
  expect(outcomes[3]).toMatchObject({ reason: { status: 429 } });
  await small.close();
  expect(await items()).toEqual(['a', 'b', 'c'].map(itemId).sort());
});

test('an empty half-opened window is swept away', async () => {
  const at = { tenant: 'acme', trigger: trigger().id, window: newId('win_') };
  await bucket.put(layout.window.open(1, at), '');
  expect(await sweepWindows(deps())).toMatchObject({ closed: 1 });
  expect(await items()).toEqual([]);
});
