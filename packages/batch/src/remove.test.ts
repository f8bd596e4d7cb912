import { layout } from '@batchmill/bucket';
import { newId } from '@batchmill/contract';
import { getFile, type Retention } from '@batchmill/files';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { deleteBatch, sweepDeletions } from './remove.ts';
import { getBatch, listBatches } from './requests.ts';
import { startTestBatches, TENANT, type TestBatches } from './test-batch.ts';
import { tidy } from './tidy.ts';

let t: TestBatches;
beforeEach(async () => {
  t = await startTestBatches();
});
afterEach(() => t.stop());

const DAY = 86_400_000;
/** All but the entry by which it is looked at once more for what came late. */
const about = async (id: string) =>
  (await t.keys()).filter((key) => key.includes(id) && !key.startsWith(layout.batch.endedPrefix));

test('a batch that has ended is deleted with its results and its index; its input stays, and so do others', async () => {
  const other = await t.run(['x']);
  const before = await t.keys();
  const batch = await t.run(['a', 'b'], (id) => id === 'b');
  expect(batch.output_file_id).not.toBeNull();
  expect(batch.error_file_id).not.toBeNull();
  expect(await deleteBatch(t.bucket, TENANT, batch.id)).toBe(true);
  expect(await deleteBatch(t.bucket, TENANT, batch.id)).toBe(false);
  expect(await getBatch(t.deps, TENANT, batch.id)).toBeNull();
  expect((await listBatches(t.deps, TENANT, { limit: 10 })).data.map(({ id }) => id)).toEqual([other.id]);
  expect(await getFile(t.bucket, TENANT, batch.input_file_id)).not.toBeNull();
  const left = (await t.keys()).filter(
    (key) => !before.includes(key) && !key.includes(batch.input_file_id) && !key.startsWith(layout.batch.endedPrefix),
  );
  expect(left).toEqual([]);
  expect(await t.view(other.id)).toEqual(other);
});

test('a batch that runs, or is being put away, is not', async () => {
  const { id } = await t.create(['a']);
  await expect(deleteBatch(t.bucket, TENANT, id)).rejects.toMatchObject({ status: 409, code: 'batch_not_ended' });
  await t.reconcile(id);
  await expect(deleteBatch(t.bucket, TENANT, id)).rejects.toMatchObject({ status: 409 });
  await t.work();
  await t.reconcile(id);
  await t.bucket.put(layout.batch.open(TENANT, id), '');
  await expect(deleteBatch(t.bucket, TENANT, id)).rejects.toMatchObject({ status: 409, again: { retry: true } });
  expect(await deleteBatch(t.bucket, 'other', id)).toBe(false);
  expect((await t.view(id)).status).toBe('completed');
});

test('a deletion that stops anywhere is finished by the sweep, by several at once', async () => {
  // The n-th change of the store fails, for every n: a crash at every step.
  for (let step = 0; ; step++) {
    const batch = await t.run(['a', 'b'], (id) => id === 'b');
    let changes = 0;
    const crashing = new Proxy(t.bucket, {
      get: (target, name) => {
        const value = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        if (name !== 'put' && name !== 'delete') return value.bind(target);
        return (...args: unknown[]) =>
          changes++ >= step ? Promise.reject(new Error('crash')) : Reflect.apply(value, target, args);
      },
    });
    const crashed = await deleteBatch(crashing, TENANT, batch.id).then(
      () => false,
      () => true,
    );
    if (!crashed) break;
    const later = Date.now() + DAY;
    await Promise.all([sweepDeletions(t.bucket, later), sweepDeletions(t.bucket, later)]);
    // Either nothing has happened, or everything.
    if (step === 0) expect(await t.view(batch.id)).toEqual(batch);
    else {
      expect(await about(batch.id)).toEqual([]);
      for (const file of [batch.output_file_id, batch.error_file_id])
        expect((await about(file ?? '')).filter((key) => !key.startsWith('index/expires/'))).toEqual([]);
    }
  }
  expect(await t.keys(layout.batch.deletingPrefix)).toEqual([]);
});

const keep =
  (batches: number | null) =>
  (tenant: string): Retention => ({
    batches: tenant === TENANT ? batches : null,
    results: null,
    files: null,
  });

test('what is older than it may be is deleted, and nothing else', async () => {
  const old = await t.run(['a']);
  const running = await t.create(['a']);
  await t.reconcile(running.id);
  const now = Date.now();
  expect(await tidy(t.bucket, { retention: keep(null), now: now + 1_000 * DAY })).toMatchObject({ batches: 0 });
  expect(await tidy(t.bucket, { retention: keep(30), now: now + 29 * DAY })).toMatchObject({ batches: 0 });
  expect(await t.view(old.id)).toEqual(old);
  const later = { retention: keep(30), now: now + 31 * DAY };
  const rounds = await Promise.all([tidy(t.bucket, later), tidy(t.bucket, later)]);
  expect(rounds.reduce((sum, round) => sum + round.batches, 0)).toBeGreaterThan(0);
  expect(await about(old.id)).toEqual([]);
  expect(await getFile(t.bucket, TENANT, old.output_file_id ?? '')).toBeNull();
  // However long it takes: it has not ended.
  expect((await t.view(running.id)).status).toBe('in_progress');
  await t.work();
  await t.reconcile(running.id);
  expect((await t.view(running.id)).status).toBe('completed');
});

test('what a dead worker wrote after the end, or after the deletion, goes; what is young or in use stays', async () => {
  const ended = await t.run(['a']);
  const gone = await t.run(['b']);
  await deleteBatch(t.bucket, TENANT, gone.id);
  const running = await t.create(['c']);
  await t.reconcile(running.id);
  const part = (id: string) =>
    layout.batch.part(TENANT, id, {
      shard: 0,
      at: 1,
      writer: 'w',
      sequence: 0,
      completed: 1,
      failed: 0,
      units: 0,
      last: false,
    });
  // Younger than a day, an id without a batch may be one that is being created.
  const young = newId('batch_');
  for (const id of [ended.id, gone.id, running.id, young]) await t.bucket.put(part(id), '');
  const keys = await t.keys();
  expect(await tidy(t.bucket)).toEqual({ batches: 0, orphans: 0 });
  expect(await t.keys()).toEqual(keys);
  await tidy(t.bucket, { now: Date.now() + DAY / 2 });
  expect((await t.keys()).filter((key) => !keys.includes(key))).toEqual([]);
  expect(keys.filter((key) => key !== part(ended.id))).toEqual(await t.keys());
  await tidy(t.bucket, { now: Date.now() + 2 * DAY });
  expect(await about(gone.id)).toEqual([]);
  expect(await about(young)).toEqual([]);
  expect(await t.keys(part(running.id))).toHaveLength(1);
  expect((await t.view(ended.id)).status).toBe('completed');
});
