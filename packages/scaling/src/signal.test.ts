import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import {
  cancelBatch,
  createBatch,
  PartWriter,
  readShard,
  reconcile,
  resultRecord,
  Schedule,
  writePieces,
} from '@batchmill/batch';
import { type Bucket, openBucket } from '@batchmill/bucket';
import { createFile } from '@batchmill/files';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { contentsOf, timesOf } from './estimate.ts';
import { ScalingSignal } from './signal.ts';
import { kindOf, speedsOf, writeSpeed } from './speeds.ts';

const TENANT = 'acme';
const CHAT = '/v1/chat/completions';
const scaling = { maxWorkers: 10, startSeconds: 60, pace: 0.5, patienceSeconds: 0 };

let folder: string;
let bucket: Bucket;
let workers: number | Error;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-signal-'));
  bucket = await openBucket(pathToFileURL(folder).href);
  workers = 1;
});
afterEach(async () => {
  await bucket.close();
  await rm(folder, { recursive: true });
});

const signal = () =>
  new ScalingSignal({
    bucket,
    workers: async () => {
      if (workers instanceof Error) throw workers;
      return { text: workers, media: workers };
    },
    model: null,
    scaling,
  });

const batchDeps = () => ({ bucket, trigger: async () => {} });
const reconcileDeps = () => ({
  bucket,
  queues: {
    addShards: async () => {},
    removeShards: async () => {},
    runningShards: async () => [],
    triggerReconcile: async () => {},
  },
  schedule: new Schedule(bucket, { runningShards: async () => [] }),
});

const chats = (n: number) =>
  Array.from({ length: n }, (_, i) => ({ custom_id: `c${i}`, body: { messages: [], max_tokens: 1_000 } }));
const linesOf = (url: string, items: { custom_id: string; body: object }[]) =>
  items.map((item) => `${JSON.stringify({ ...item, method: 'POST', url })}\n`).join('');

async function begin(endpoint: typeof CHAT | '/v1/ocr', items: { custom_id: string; body: object }[]): Promise<string> {
  const source = Readable.from([Buffer.from(linesOf(endpoint, items))]);
  const file = await createFile(bucket, TENANT, { purpose: 'batch', filename: 'in.jsonl', source });
  const request = { input_file_id: file.id, endpoint, completion_window: '1h' };
  const { id } = await createBatch(batchDeps(), TENANT, request);
  await reconcile(reconcileDeps(), TENANT, id);
  return id;
}

async function answer(id: string, shard: number, howMany: number, writer: string): Promise<void> {
  const items = (await readShard(bucket, TENANT, id, shard)).slice(0, howMany);
  const response = { status_code: 200, request_id: 'r', body: {} };
  const records = items.map(({ position, custom_id }) =>
    resultRecord(position, { id: 'x', custom_id, response, error: null }, null),
  );
  await new PartWriter(bucket, { tenant: TENANT, id, shard, writer }).write(records, false);
}

test('what waits is the estimated tokens of what has no result, and shrinks as parts are written', async () => {
  expect((await signal().read()).lanes.all).toMatchObject({ workersWanted: 0, items: 0, earliestDeadline: null });
  const id = await begin(CHAT, chats(600));
  const { lanes, open, measured } = await signal().read();
  expect({ open, measured }).toEqual({ open: 1, measured: false });
  expect(lanes.text).toMatchObject({ batches: 1, items: 600, pages: 0, workers: 1 });
  expect(lanes.text.tokens).toBeGreaterThan(600 * 1_000);
  expect(lanes.media).toMatchObject({ items: 0, workersWanted: 0 });
  expect(lanes.all).toEqual(lanes.text);
  expect(lanes.text.earliestDeadline).toBeGreaterThan(Date.now() / 1000 + 3_590);

  await answer(id, 0, 250, 'w1');
  const later = (await signal().read()).lanes.text;
  expect(later.items).toBe(350);
  expect(later.tokens / lanes.text.tokens).toBeCloseTo(350 / 600, 2);
});

test('measured speeds turn it into time, and time into workers', async () => {
  await begin(CHAT, chats(600));
  const tokens = (await signal().read()).lanes.text.tokens;
  const kinds = { [kindOf('text', CHAT)]: { items: 9, tokens: 1_000, slotSeconds: 40 } };
  await writeSpeed(bucket, { at: Date.now(), model: 'm', slots: 4, kinds }, 'w1', 0);
  const { lanes, measured } = await signal().read();
  expect(measured).toBe(true);
  // 1,000 tokens in 10 seconds of four slots.
  expect(lanes.text.workSeconds).toBe(Math.round(tokens / 100));
  // About 6,100 s of work, of which one worker does 1,800; two shards, so no more than two workers have a use.
  expect(lanes.text.workersWanted).toBe(2);
});

test('a long document counts by its pages before it is done as a whole', async () => {
  const id = await begin('/v1/ocr', [{ custom_id: 'd', body: { document: { type: 'document_url' }, pages: '0-99' } }]);
  const before = (await signal().read()).lanes.media;
  expect(before).toMatchObject({ items: 1, pages: 100 });
  const pieces = Array.from({ length: 60 }, (_, i) => ({ position: 0, name: `page-${i}`, value: 'x', units: 1 }));
  await writePieces(bucket, { tenant: TENANT, id, shard: 0, writer: 'w1', sequence: 0 }, pieces);
  const after = (await signal().read()).lanes.media;
  expect(after).toMatchObject({ items: 1, pages: 40 });
  expect(after.tokens / before.tokens).toBeCloseTo(0.4, 2);
});

test('a batch that is cancelled is no work any more', async () => {
  const id = await begin(CHAT, chats(3));
  await cancelBatch(batchDeps(), TENANT, id);
  expect((await signal().read()).lanes.all).toMatchObject({ items: 0, workersWanted: 0 });
});

test('a queue that does not say who is connected is no reason to say nothing', async () => {
  await begin(CHAT, chats(3));
  workers = new Error('CLIENT LIST is not allowed');
  expect((await signal().read()).lanes.text).toMatchObject({ workers: null, workersWanted: 1 });
});

test('what was read is shown for a while, and whoever asks meanwhile waits for the same', async () => {
  const one = signal();
  const [a, b] = await Promise.all([one.read(), one.read()]);
  expect(a).toBe(b);
  await begin(CHAT, chats(3));
  expect(await one.read()).toBe(a);
});

test('an estimate sees a file as the planner does', async () => {
  const file = linesOf(CHAT, chats(600)) + linesOf('/v1/ocr', chats(1));
  const contents = await contentsOf(Readable.from([Buffer.from(file)]), CHAT);
  await begin(CHAT, chats(600));
  const planned = (await signal().read()).lanes.text;
  expect(contents).toMatchObject({ items: 600, wrongLines: 1, tokens: planned.tokens });
});

test('times: behind what waits at current scale, with starts at full scale', () => {
  const kind = kindOf('text', CHAT);
  const speeds = speedsOf([
    { at: 0, model: 'm', slots: 1, kinds: { [kind]: { items: 1, tokens: 100, slotSeconds: 1 } } },
  ]);
  const lanes = { text: { items: 5_000, tokens: 600_000 }, media: { items: 0, tokens: 0 } };
  const times = (there: number | null, waitingSeconds = 0) =>
    timesOf({ lanes }, CHAT, speeds, { workers: there, waitingSeconds }, scaling);
  expect(times(2, 1_000)).toMatchObject({ measured: true, workSeconds: 6_000, nowSeconds: 3_500 });
  expect(times(0)).toMatchObject({ nowSeconds: 6_060, fullWorkers: 10, fullSeconds: 660 });
  expect(times(null)).toMatchObject({ nowSeconds: 6_000 });
  const few = { text: { items: 3, tokens: 300 }, media: { items: 0, tokens: 0 } };
  expect(timesOf({ lanes: few }, CHAT, speeds, { workers: 5, waitingSeconds: 0 }, scaling)).toMatchObject({
    nowSeconds: 3,
    fullWorkers: 1,
    fullSeconds: 3,
  });
});
