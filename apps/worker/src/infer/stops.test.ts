import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Bucket, layout, openBucket } from '@batchmill/bucket';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Stops } from './stops.ts';
import { openBatch } from './test-batch.ts';

let folder: string;
let bucket: Bucket;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-stops-'));
  bucket = await openBucket(pathToFileURL(folder).href);
});
afterEach(async () => {
  await bucket.close();
  await rm(folder, { recursive: true, force: true });
});

const put = (id: string, over = {}) =>
  bucket.put(layout.batch.batch('t', id), JSON.stringify(openBatch('t', id, over)));
const cancel = (id: string) => bucket.put(layout.batch.cancel('t', id), JSON.stringify({ cancelling_at: 1 }));
const seconds = () => Math.floor(Date.now() / 1000);

test('when the batch is known, it is known whether it is still wanted', async () => {
  const stops = new Stops(bucket);
  await Promise.all([put('open'), put('late', { expires_at: seconds() }), put('cancelled')]);
  await cancel('cancelled');
  const found: Record<string, boolean> = {};
  for (const id of ['open', 'late', 'cancelled', 'none']) {
    const { batch, signal, release } = stops.watch('t', id);
    found[`${id} ${(await batch)?.id ?? null}`] = signal.aborted;
    release();
  }
  expect(found).toEqual({ 'open open': false, 'late late': true, 'cancelled cancelled': true, 'none null': false });
});

test('it fires when the batch expires or is cancelled, for all who watch', async () => {
  const stops = new Stops(bucket);
  await Promise.all([put('a', { expires_at: seconds() + 2 }), put('b')]);
  const watches = ['a', 'a', 'b'].map((id) => stops.watch('t', id));
  await Promise.all(watches.map(({ batch }) => batch));
  expect(watches.map(({ signal }) => signal.aborted)).toEqual([false, false, false]);
  await cancel('b');
  await Promise.all(watches.map(({ signal }) => new Promise((done) => signal.addEventListener('abort', done))));
  expect(watches.map(({ signal }) => signal.reason.message)).toEqual(['expired', 'expired', 'cancelled']);
  for (const { release } of watches) release();
});

test('a bucket that does not answer is said to who watches; the next one looks again', async () => {
  const stops = new Stops(bucket);
  await bucket.put(layout.batch.batch('t', 'a'), 'not JSON');
  const first = stops.watch('t', 'a');
  await expect(first.batch).rejects.toThrow();
  await put('a');
  const second = stops.watch('t', 'a');
  first.release();
  expect((await second.batch)?.id).toBe('a');
  second.release();
});
