import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Bucket, layout, openBucket } from '@batchmill/bucket';
import type { ShardRef } from '@batchmill/queue';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BatchFact } from '../state.ts';
import { Schedule } from './schedule.ts';

let folder: string;
let bucket: Bucket;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-schedule-'));
  bucket = await openBucket(pathToFileURL(folder).href);
});
afterEach(async () => {
  await bucket.close();
  await rm(folder, { recursive: true, force: true });
});

async function open(tenant: string, id: string, hours = 24): Promise<BatchFact> {
  const now = Math.floor(Date.now() / 1000);
  const fact = BatchFact.parse({
    id,
    tenant,
    created_at: now,
    expires_at: now + hours * 3_600,
    input_file_id: 'file-a',
    endpoint: '/v1/ocr',
    completion_window: '24h',
    metadata: null,
    output_lifetime: null,
    empty_output_file: false,
  });
  await bucket.put(layout.batch.open(tenant, id), '');
  await bucket.put(layout.batch.batch(tenant, id), JSON.stringify(fact));
  return fact;
}

const shards = (lane: 'text' | 'media', ...numbers: number[]) =>
  numbers.map((shard) => ({ shard, lane, items: shard + 1 }));
const scheduleOf = (running: ShardRef[]) =>
  new Schedule(bucket, { runningShards: async () => running }, { window: 2, listMs: 0 });
const numbers = (placed: { shard: number }[]) => placed.map((p) => p.shard);

test('a window of each lane waits beside what runs', async () => {
  const batch = await open('acme', 'batch_a');
  const running = [
    { tenant: 'acme', batchId: 'batch_a', shard: 1 },
    { tenant: 'acme', batchId: 'batch_b', shard: 2 },
  ];
  const placed = await scheduleOf(running).next(batch, [...shards('text', 1, 2, 3, 4), ...shards('media', 5)]);
  expect(placed.map(({ shard, lane, items }) => [shard, lane, items])).toEqual([
    [2, 'text', 3],
    [3, 'text', 4],
    [5, 'media', 6],
  ]);
});

test('the order is that of the tenant: batches with nothing at work first, then the earliest deadline', async () => {
  const [late, soon] = [await open('acme', 'batch_late', 24), await open('acme', 'batch_soon', 1)];
  const other = await open('other', 'batch_other', 100);
  const running: ShardRef[] = [];
  const place = async () => {
    const schedule = scheduleOf(running);
    const placed = [];
    for (const batch of [late, soon, other]) placed.push(...(await schedule.next(batch, shards('text', 0, 1))));
    return Object.fromEntries(placed.map((p) => [`${p.batchId.slice(6)} ${p.shard}`, p.priority]));
  };
  expect(await place()).toEqual({ 'soon 0': 1, 'late 0': 2, 'soon 1': 3, 'late 1': 4, 'other 0': 1, 'other 1': 2 });
  running.push({ tenant: 'acme', batchId: 'batch_soon', shard: 7 });
  expect(await place()).toEqual({ 'late 0': 2, 'soon 0': 3, 'late 1': 4, 'soon 1': 5, 'other 0': 1, 'other 1': 2 });
});

test('a batch that is being created, and one that has ended, do not stand in the way', async () => {
  const batch = await open('acme', 'batch_b');
  await bucket.put(layout.batch.open('acme', 'batch_a'), '');
  const schedule = scheduleOf([]);
  const [first] = await schedule.next(batch, shards('text', 0));
  await bucket.delete(layout.batch.open('acme', 'batch_a'));
  expect((await schedule.next(batch, shards('text', 0)))[0]?.priority).toBe(first?.priority);
  await bucket.put(layout.batch.open('acme', 'batch_a'), '');
  await open('acme', 'batch_c', 1);
  const [behind] = await schedule.next(batch, shards('text', 0));
  schedule.ended('batch_c');
  const [again] = await schedule.next(batch, shards('text', 0));
  expect([behind?.priority, again?.priority]).toEqual([2, 1]);
  // Not in the list yet, for it is new.
  await bucket.delete(layout.batch.open('acme', 'batch_b'));
  expect(numbers(await schedule.next(batch, shards('text', 0, 1, 2)))).toEqual([0, 1]);
});
