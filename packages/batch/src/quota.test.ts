import { layout } from '@batchmill/bucket';
import { newId } from '@batchmill/contract';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { countItems, heldBy, NO_QUOTA, openBatchesOf, type Quota } from './quota.ts';
import { cancelBatch } from './requests.ts';
import { startTestBatches, TENANT, type TestBatches } from './test-batch.ts';

let t: TestBatches;
beforeEach(async () => {
  t = await startTestBatches();
});
afterEach(() => t.stop());

const key = newId('key_');
const holder = { tenant: TENANT, key };
const create = (items: number, quota: Partial<Quota>, by: string | null = key) =>
  t.create(
    Array.from({ length: items }, (_, i) => `${i}`),
    {},
    { key: by, quota: { ...NO_QUOTA, ...quota } },
  );

test('a quota is of what has not ended: it comes back when a batch is done, cancelled or has failed', async () => {
  const quota = { batches: 3 };
  const done = await create(1, quota);
  const cancelled = await create(1, quota);
  const failed = await create(0, quota);
  await expect(create(1, quota)).rejects.toMatchObject({
    status: 429,
    code: 'quota_exceeded',
    again: { retry: false },
  });
  // Another key's is its own.
  await create(1, quota, newId('key_'));
  expect(await t.reconcile(failed.id)).toBe('failed');
  expect(await heldBy(t.bucket, holder)).toMatchObject({ batches: 2 });
  await cancelBatch(t.deps, TENANT, cancelled.id);
  await t.reconcile(cancelled.id);
  expect(await heldBy(t.bucket, holder)).toMatchObject({ batches: 1 });
  await t.reconcile(done.id);
  await t.work();
  await t.reconcile(done.id);
  expect(await heldBy(t.bucket, holder)).toEqual({ batches: 0, items: 0, bytes: 0 });
  await create(1, quota);
});

test('items and bytes are those of the files', async () => {
  await create(4, { items: 10 });
  await create(6, { items: 10 });
  expect(await heldBy(t.bucket, holder)).toMatchObject({ batches: 2, items: 10 });
  await expect(create(1, { items: 10 })).rejects.toMatchObject({ status: 429 });
  await expect(create(11, { items: 10 })).rejects.toThrow(/Split it/);
  const { bytes } = await heldBy(t.bucket, holder);
  await expect(create(1, { bytes: bytes + 20 })).rejects.toThrow(/bytes/);
  await create(1, { bytes: bytes + 200 });
});

test('many at once do not pass it', async () => {
  const made = await Promise.allSettled(Array.from({ length: 12 }, () => create(1, { batches: 5 })));
  expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(5);
  expect(await heldBy(t.bucket, holder)).toMatchObject({ batches: 5 });
});

test('a batch that was refused leaves nothing', async () => {
  await create(1, { batches: 1 });
  const before = (await t.keys()).filter((k) => !k.includes('file'));
  await create(1, { batches: 1 }).catch(() => {});
  expect((await t.keys()).filter((k) => !k.includes('file'))).toEqual(before);
});

test('the batches that a file is the input of', async () => {
  const batch = await create(1, {});
  expect(await openBatchesOf(t.bucket, TENANT, batch.input_file_id)).toEqual([batch.id]);
  expect(await openBatchesOf(t.bucket, 'other', batch.input_file_id)).toEqual([]);
  await t.reconcile(batch.id);
  await t.work();
  await t.reconcile(batch.id);
  expect(await openBatchesOf(t.bucket, TENANT, batch.input_file_id)).toEqual([]);
});

test.for<[string, number]>([
  ['', 0],
  ['a', 1],
  ['a\n', 1],
  ['a\nb', 2],
  ['a\nb\n', 2],
])('%j has %i items', async ([text, count]) => {
  const { input_file_id: id } = await create(1, {});
  await t.bucket.put(layout.file.content(TENANT, id), text);
  expect(await countItems(t.bucket, TENANT, id)).toBe(count);
});
