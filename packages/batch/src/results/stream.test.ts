import { layout } from '@batchmill/bucket';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cancelBatch } from '../requests.ts';
import { startTestBatches, TENANT, type TestBatches } from '../test-batch.ts';
import { resultRecord } from './record.ts';
import { PartWriter } from './shard.ts';
import { streamResults } from './stream.ts';

let t: TestBatches;
beforeEach(async () => {
  t = await startTestBatches();
});
afterEach(() => t.stop());

const names = (n: number) => Array.from({ length: n }, (_, i) => `id-${String(i).padStart(4, '0')}`);

async function results(id: string, meanwhile: () => Promise<void> = async () => {}): Promise<string[]> {
  const found: string[] = [];
  let first = true;
  for await (const chunk of streamResults(t.bucket, TENANT, id)) {
    const text = Buffer.from(chunk).toString('utf8');
    // Each piece ends where a line ends.
    expect(text.endsWith('\n')).toBe(true);
    for (const line of text.trimEnd().split('\n')) found.push(JSON.parse(line).custom_id);
    if (first) await meanwhile();
    first = false;
  }
  return found;
}

test('what is finished so far, in input order within a shard, and all of it in input order at the end', async () => {
  const all = names(1_200);
  const { id } = await t.create(all);
  expect(await results(id)).toEqual([]);
  await t.reconcile(id);
  expect(await results(id)).toEqual([]);
  const first = (custom: string) => Number(custom.slice(3)) % 3 === 0;
  await t.work(first, (custom) => custom.endsWith('9'));
  await t.reconcile(id);
  expect(await results(id)).toEqual(all.filter(first));
  await t.work();
  expect(await results(id)).toEqual(all);
  await t.reconcile(id);
  expect((await t.view(id)).status).toBe('completed');
  expect(await results(id)).toEqual(all);
});

test('a batch that ends while it is read: each line once, none left out', async () => {
  const all = names(1_200);
  const { id } = await t.create(all);
  await t.reconcile(id);
  await t.work((custom) => custom < 'id-0700');
  await t.reconcile(id);
  const found = await results(id, async () => {
    await t.work();
    await t.reconcile(id);
    expect((await t.view(id)).status).toBe('completed');
  });
  expect(found).toHaveLength(1_200);
  expect(found.toSorted()).toEqual(all);
});

test('an item that two workers answered is there once, from the earlier part', async () => {
  const { id } = await t.create(['a', 'b']);
  await t.reconcile(id);
  await t.work((custom) => custom === 'a');
  await new Promise((wait) => setTimeout(wait, 5));
  const late = new PartWriter(t.bucket, { tenant: TENANT, id, shard: 0, writer: 'w2' });
  const line = (custom_id: string) => ({
    id: 'x',
    custom_id,
    response: { status_code: 200, request_id: 'r', body: { by: 'w2' } },
    error: null,
  });
  await late.write([resultRecord(0, line('a'), null), resultRecord(1, line('b'), null)], true);
  const lines: string[] = [];
  for await (const chunk of streamResults(t.bucket, TENANT, id))
    lines.push(...Buffer.from(chunk).toString().trim().split('\n'));
  expect(lines.map((l) => JSON.parse(l).response.body.by)).toEqual(['w1', 'w2']);
});

test('of a cancelled batch the lines that never ran are there too; of one that failed nothing', async () => {
  const { id } = await t.create(['a', 'b', 'c']);
  await t.reconcile(id);
  await t.work((custom) => custom === 'b');
  await cancelBatch(t.deps, TENANT, id);
  expect(await results(id)).toEqual(['b']);
  await t.reconcile(id);
  expect(await results(id)).toEqual(['a', 'b', 'c']);
  const wrong = await t.create([]);
  await t.reconcile(wrong.id);
  expect(await results(wrong.id)).toEqual([]);
});

test('a result file that is not of this batch is no answer', async () => {
  const one = await t.run(['a', 'b']);
  const other = await t.run(['c']);
  const key = layout.batch.final(TENANT, one.id);
  const fact = JSON.parse(Buffer.from((await t.bucket.get(key)) ?? []).toString());
  await t.bucket.put(key, JSON.stringify({ ...fact, output_file_id: other.output_file_id }));
  await expect(results(one.id)).rejects.toThrow('lines of another batch');
});
