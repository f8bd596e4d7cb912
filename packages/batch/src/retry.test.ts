import { layout } from '@batchmill/bucket';
import { BatchRetry } from '@batchmill/contract';
import { deleteFile } from '@batchmill/files';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { deleteBatch } from './remove.ts';
import { cancelBatch } from './requests.ts';
import { getRetryable, retryBatch } from './retry.ts';
import { linesOf, startTestBatches, TENANT, type TestBatches } from './test-batch.ts';

let t: TestBatches;
beforeEach(async () => {
  t = await startTestBatches();
});
afterEach(() => t.stop());

async function retry(id: string, request: object = {}) {
  const before = await getRetryable(t.deps, TENANT, id);
  if (before === null) throw new Error('no such batch');
  return retryBatch(t.deps, before, BatchRetry.parse(request), {});
}

async function finish(id: string, fail = (_: string) => false) {
  await t.reconcile(id);
  await t.work(undefined, fail);
  await t.reconcile(id);
  return t.view(id);
}

const ids = async (file: string | null) => (await linesOf(t.bucket, file)).map((line) => line.custom_id);

/** A batch with a line of each kind: a is answered, b failed, c to e were cancelled or expired. */
async function endedWith(outcome: 'cancelled' | 'expired') {
  const { id } = await t.create(['a', 'b', 'c', 'd', 'e'], { metadata: { team: 'x' } });
  await t.reconcile(id);
  await t.work(
    (custom) => custom <= 'b',
    (custom) => custom === 'b',
  );
  if (outcome === 'cancelled') await cancelBatch(t.deps, TENANT, id);
  else {
    const key = layout.batch.batch(TENANT, id);
    const fact = JSON.parse(Buffer.from((await t.bucket.get(key)) ?? []).toString());
    await t.bucket.put(key, JSON.stringify({ ...fact, expires_at: Math.floor(Date.now() / 1000) - 60 }));
  }
  await t.reconcile(id);
  return t.view(id);
}

test('a retry does the lines that failed, and those alone; what fails again is retried by retrying that', async () => {
  const first = await t.run(['a', 'b', 'c', 'd'], (id) => id !== 'a');
  expect(first.request_counts).toEqual({ total: 4, completed: 1, failed: 3 });
  const second = await retry(first.id);
  expect(second).toMatchObject({
    status: 'validating',
    retry_of: first.id,
    input_file_id: first.input_file_id,
    endpoint: first.endpoint,
  });
  expect(second.id).not.toBe(first.id);
  const done = await finish(second.id, (id) => id === 'd');
  expect(done).toMatchObject({ status: 'completed', request_counts: { total: 3, completed: 2, failed: 1 } });
  expect(await ids(done.output_file_id)).toEqual(['b', 'c']);
  const third = await finish((await retry(second.id)).id);
  expect(third).toMatchObject({ retry_of: second.id, request_counts: { total: 1, completed: 1, failed: 0 } });
  expect(await ids(third.output_file_id)).toEqual(['d']);
  // The first is as it was.
  expect(await t.view(first.id)).toEqual(first);
});

test.for<['cancelled' | 'expired', object, string[]]>([
  ['cancelled', {}, ['b', 'c', 'd', 'e']],
  ['cancelled', { only: ['cancelled'] }, ['c', 'd', 'e']],
  ['cancelled', { only: ['failed'] }, ['b']],
  ['expired', { only: ['expired', 'expired'] }, ['c', 'd', 'e']],
  ['expired', { only: ['failed', 'expired'] }, ['b', 'c', 'd', 'e']],
])('of a batch that was %s, %j are done again', async ([outcome, request, expected]) => {
  const first = await endedWith(outcome);
  expect(first.status).toBe(outcome);
  const done = await finish((await retry(first.id, request)).id);
  expect(done.request_counts).toEqual({ total: expected.length, completed: expected.length, failed: 0 });
  expect(await ids(done.output_file_id)).toEqual(expected);
  expect(done.metadata).toEqual({ team: 'x' });
});

test('asked many times at once it is one batch; another kind of lines is another', async () => {
  const first = await endedWith('cancelled');
  const all = await Promise.all(Array.from({ length: 8 }, () => retry(first.id, { only: ['cancelled', 'failed'] })));
  expect(new Set(all.map((batch) => batch.id)).size).toBe(1);
  expect((await retry(first.id, { only: ['failed', 'cancelled'] })).id).toBe(all[0]?.id);
  expect((await retry(first.id, { only: ['failed'] })).id).not.toBe(all[0]?.id);
  const done = await finish(all[0]?.id ?? '');
  expect((await retry(first.id, { only: ['cancelled', 'failed'] })).status).toBe(done.status);
});

test('a retry that was deleted can be made again', async () => {
  const first = await t.run(['a', 'b'], () => true);
  const second = await finish((await retry(first.id)).id);
  expect(await deleteBatch(t.bucket, TENANT, second.id)).toBe(true);
  const third = await retry(first.id);
  expect(third.id).not.toBe(second.id);
  expect((await finish(third.id)).request_counts.total).toBe(2);
});

test('an attempt that was given up half-way is gone on with', async () => {
  const first = await t.run(['a'], () => true);
  const before = await getRetryable(t.deps, TENANT, first.id);
  if (before === null) throw new Error('no such batch');
  // The name is settled, then the store fails.
  const broken = new Proxy(t.bucket, {
    get: (target, name) => {
      const value = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return name === 'put' ? () => Promise.reject(new Error('crash')) : value.bind(target);
    },
  });
  const request = BatchRetry.parse({});
  await expect(retryBatch({ ...t.deps, bucket: broken }, before, request, {})).rejects.toThrow('crash');
  const made = await retry(first.id);
  expect((await finish(made.id)).request_counts).toEqual({ total: 1, completed: 1, failed: 0 });
  expect(await t.keys(`${layout.batch.prefix(TENANT, first.id)}retries/`)).toHaveLength(1);
});

test('what cannot be done again is refused, and nothing is made', async () => {
  const running = await t.create(['a']);
  await expect(retry(running.id)).rejects.toMatchObject({ status: 409, code: 'batch_not_ended' });
  const good = await t.run(['a']);
  await expect(retry(good.id)).rejects.toMatchObject({ status: 409, code: 'nothing_to_retry' });
  const wrong = await t.create([]);
  await t.reconcile(wrong.id);
  await expect(retry(wrong.id)).rejects.toMatchObject({ status: 409, code: 'nothing_to_retry' });
  const bad = await t.run(['a'], () => true);
  // It was answered with 400.
  for (const only of [['expired'], ['cancelled'], ['server_error']])
    await expect(retry(bad.id, { only })).rejects.toMatchObject({ status: 409, code: 'nothing_to_retry' });
  expect(await t.keys(`${layout.batch.prefix(TENANT, bad.id)}retries/`)).toEqual([]);
  expect(await getRetryable(t.deps, TENANT, `batch_${'0'.repeat(32)}`)).toBeNull();
  expect(await getRetryable(t.deps, 'other', bad.id)).toBeNull();
});

test('without its input or its error file it is refused, in words', async () => {
  for (const which of ['input_file_id', 'error_file_id'] as const) {
    const first = await t.run(['a'], () => true);
    await deleteFile(t.bucket, TENANT, first[which] ?? '');
    await expect(retry(first.id)).rejects.toMatchObject({ status: 409, code: 'file_gone' });
  }
});

test('an error file that goes before the retry is planned fails it, in words', async () => {
  const first = await t.run(['a'], () => true);
  const { id } = await retry(first.id);
  await deleteFile(t.bucket, TENANT, first.error_file_id ?? '');
  expect(await t.reconcile(id)).toBe('failed');
  expect((await t.view(id)).errors?.data).toMatchObject([{ code: 'file_not_found' }]);
});
