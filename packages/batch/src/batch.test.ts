import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Bucket, layout, openBucket } from '@batchmill/bucket';
import { type BatchObject, type FindingCounts, RequestError } from '@batchmill/contract';
import { createFile, deleteFile } from '@batchmill/files';
import type { ShardJob, ShardRef } from '@batchmill/queue';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ReconcileDeps, reconcile } from './reconcile.ts';
import { cancelBatch, createBatch, getBatch, listBatches } from './requests.ts';
import { resultRecord } from './results/record.ts';
import { PartWriter, readShard } from './results/shard.ts';
import { byHand, linesOf, TENANT, type WorkOptions, workOn } from './test-batch.ts';

/**
 * The heart on a real bucket. The queue is not what is tested here, so the test is the queue: it keeps the shards that
 * were queued, and plays the worker by writing parts.
 */
const ENDPOINT = '/v1/chat/completions';
let folder: string;
let bucket: Bucket;
let queued: Map<string, ShardJob>;
let running: ShardRef[];
let deps: ReconcileDeps;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-batch-'));
  bucket = await openBucket(pathToFileURL(folder).href);
  queued = new Map();
  running = [];
  deps = byHand(bucket, queued, () => running);
});
afterEach(async () => {
  await bucket.close();
  await rm(folder, { recursive: true, force: true });
});

const requests = { trigger: async () => {} };
const text = (id: string, over: object = {}) =>
  JSON.stringify({ custom_id: id, method: 'POST', url: ENDPOINT, body: { model: 'm', messages: [] }, ...over });
const image = (id: string) =>
  text(id, { body: { model: 'm', messages: [{ role: 'user', content: [{ type: 'image_url' }] }] } });

async function create(lines: string[] | Buffer, over: object = {}): Promise<BatchObject> {
  const content = Buffer.isBuffer(lines) ? lines : Buffer.from(lines.join('\n'));
  const file = await createFile(bucket, TENANT, {
    filename: 'in.jsonl',
    purpose: 'batch',
    source: (async function* () {
      yield content;
    })(),
  });
  return createBatch({ bucket, ...requests }, TENANT, {
    input_file_id: file.id,
    endpoint: ENDPOINT,
    completion_window: '24h',
    ...over,
  });
}

const view = async (id: string) => {
  const batch = await getBatch({ bucket, ...requests }, TENANT, id);
  if (batch === null) throw new Error('no such batch');
  return batch;
};

const work = (...how: WorkOptions) => workOn(bucket, queued, ...how);
const lines = (fileId: string | null) => linesOf(bucket, fileId);

test('a batch goes its way: validating, in progress, completed; lines in input order over both lanes', async () => {
  const input = Array.from({ length: 1_300 }, (_, i) => (i % 3 === 0 ? image(`id-${i}`) : text(`id-${i}`)));
  const { id, status } = await create(input, { metadata: { a: 'b' } });
  expect(status).toBe('validating');
  expect(await reconcile(deps, TENANT, id)).toBe('running');
  expect(await view(id)).toMatchObject({
    status: 'in_progress',
    model: 'm',
    request_counts: { total: 1_300, completed: 0, failed: 0 },
    metadata: { a: 'b' },
  });
  await work(
    () => true,
    (custom) => Number(custom.slice(3)) % 100 === 7,
  );
  const half = await view(id);
  expect(half.request_counts).toEqual({ total: 1_300, completed: 1_287, failed: 13 });
  expect(await reconcile(deps, TENANT, id)).toBe('ended');
  const done = await view(id);
  expect(done).toMatchObject({ status: 'completed', request_counts: { total: 1_300, completed: 1_287, failed: 13 } });
  expect(done.usage).toMatchObject({ input_tokens: 3_900, output_tokens: 2_600, total_tokens: 6_500 });
  expect(done.usage?.input_tokens_details.cached_tokens).toBe(1_300);
  const all = [...(await lines(done.output_file_id)), ...(await lines(done.error_file_id))];
  const number = (line: { custom_id: string }) => Number(line.custom_id.slice(3));
  for (const file of [await lines(done.output_file_id), await lines(done.error_file_id)])
    expect(file.map(number)).toEqual(file.map(number).toSorted((a, b) => a - b));
  expect(all.map(number).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 1_300 }, (_, i) => i));
  // What only served to run it is gone, and it is not open any more.
  for await (const object of bucket.list(`${layout.batch.prefix(TENANT, id)}shards/`)) expect(object).toBeUndefined();
  for await (const object of bucket.list(layout.batch.openPrefix)) expect(object).toBeUndefined();
});

test('looking again at any moment changes nothing', async () => {
  const { id } = await create([text('a'), text('b')]);
  for (let i = 0; i < 3; i++) expect(await reconcile(deps, TENANT, id)).toBe('running');
  expect(queued.size).toBe(1);
  await work();
  expect(await reconcile(deps, TENANT, id)).toBe('ended');
  const first = await view(id);
  expect(await reconcile(deps, TENANT, id)).toBe('ended');
  expect(await view(id)).toEqual(first);
});

test('what the filters found is summed by category when the batch has ended, of each item once', async () => {
  const { id } = await create([text('a'), image('b'), text('c'), text('d')]);
  await reconcile(deps, TENANT, id);
  const jobs = [...queued];
  const counts = (annotated: number, redacted: number, blocked: number) => ({ annotated, redacted, blocked });
  const found = (custom: string): FindingCounts | null => {
    if (custom === 'a') return { constructor: counts(1, 1, 0) };
    if (custom === 'b') return { constructor: counts(1, 0, 0), hate: counts(0, 0, 1) };
    return null;
  };
  await work(
    (c) => c !== 'd',
    (c) => c === 'b',
    'w1',
    found,
  );
  expect((await view(id)).content_filter_summary).toBeNull();
  // A second worker answers all items again: of them only the one that had no answer is delivered and counted.
  await new Promise((wait) => setTimeout(wait, 5));
  for (const [, job] of jobs) {
    const late = new PartWriter(bucket, { tenant: TENANT, id, shard: job.shard, writer: 'w2' });
    const items = await readShard(bucket, TENANT, id, job.shard);
    const line = { id: 'x', response: { status_code: 200, request_id: 'r', body: {} }, error: null };
    await late.write(
      items.map((i) => resultRecord(i.position, { ...line, custom_id: i.custom_id }, null, { hate: counts(0, 0, 1) })),
      true,
    );
  }
  await reconcile(deps, TENANT, id);
  expect((await view(id)).content_filter_summary).toEqual({
    constructor: counts(2, 1, 0),
    hate: counts(0, 0, 2),
  });
});

test('nothing found is no summary, also of a batch that ended before there were any', async () => {
  const { id } = await create([text('a')]);
  await reconcile(deps, TENANT, id);
  await work();
  await reconcile(deps, TENANT, id);
  expect((await view(id)).content_filter_summary).toBeNull();
  const key = layout.batch.final(TENANT, id);
  const { findings, ...old } = JSON.parse(Buffer.from((await bucket.get(key)) ?? []).toString());
  expect(findings).toBeNull();
  await bucket.put(key, JSON.stringify(old));
  expect((await view(id)).content_filter_summary).toBeNull();
});

test('a shard run by two workers gives each item once, from the earlier part', async () => {
  const { id } = await create([text('a'), text('b'), text('c')]);
  await reconcile(deps, TENANT, id);
  const jobs = [...queued];
  await work((c) => c !== 'c');
  for (const [key, job] of jobs) queued.set(key, job);
  const items = await readShard(bucket, TENANT, id, 0);
  const late = new PartWriter(bucket, { tenant: TENANT, id, shard: 0, writer: 'w2' });
  await new Promise((wait) => setTimeout(wait, 5));
  await late.write(
    items.map((i) =>
      resultRecord(
        i.position,
        {
          id: 'x',
          custom_id: i.custom_id,
          response: { status_code: 200, request_id: 'r', body: { by: 'w2' } },
          error: null,
        },
        null,
      ),
    ),
    true,
  );
  expect((await view(id)).request_counts).toEqual({ total: 3, completed: 3, failed: 0 });
  await reconcile(deps, TENANT, id);
  const output = await lines((await view(id)).output_file_id);
  expect(output.map((l) => [l.custom_id, l.response])).toMatchObject([
    ['a', { body: { by: 'w1' } }],
    ['b', { body: { by: 'w1' } }],
    ['c', { body: { by: 'w2' } }],
  ]);
});

test('cancel delivers what is finished, and a line for everything else', async () => {
  const { id } = await create([text('a'), image('b'), text('c')]);
  await reconcile(deps, TENANT, id);
  await work((c) => c === 'a');
  expect(await cancelBatch({ bucket, ...requests }, TENANT, id)).toMatchObject({ status: 'cancelling' });
  expect(await cancelBatch({ bucket, ...requests }, TENANT, id)).toMatchObject({ status: 'cancelling' });
  running = [{ tenant: TENANT, batchId: id, shard: 0 }];
  expect(await reconcile(deps, TENANT, id)).toBe('stopping');
  running = [];
  expect(await reconcile(deps, TENANT, id)).toBe('ended');
  const done = await view(id);
  expect(done).toMatchObject({ status: 'cancelled', request_counts: { total: 3, completed: 1, failed: 2 } });
  expect(done.cancelled_at).not.toBeNull();
  expect((await lines(done.output_file_id)).map((l) => l.custom_id)).toEqual(['a']);
  expect((await lines(done.error_file_id)).map((l) => [l.custom_id, l.response, l.error?.code])).toEqual([
    ['b', null, 'batch_cancelled'],
    ['c', null, 'batch_cancelled'],
  ]);
  await expect(cancelBatch({ bucket, ...requests }, TENANT, id)).rejects.toMatchObject({ status: 409 });
});

test('a batch cancelled before anybody looked at it still has a line per item', async () => {
  const { id } = await create([text('a'), text('b')]);
  await cancelBatch({ bucket, ...requests }, TENANT, id);
  expect(await reconcile(deps, TENANT, id)).toBe('ended');
  const done = await view(id);
  expect(done).toMatchObject({
    status: 'cancelled',
    output_file_id: null,
    request_counts: { total: 2, completed: 0, failed: 2 },
  });
  expect(await lines(done.error_file_id)).toHaveLength(2);
});

test('expiry delivers what is finished, and a worker that is lost is not waited for', async () => {
  const { id } = await create([text('a'), text('b')]);
  await reconcile(deps, TENANT, id);
  await work((c) => c === 'b');
  const key = layout.batch.batch(TENANT, id);
  const fact = JSON.parse(Buffer.from((await bucket.get(key)) ?? []).toString());
  await bucket.put(key, JSON.stringify({ ...fact, expires_at: Math.floor(Date.now() / 1000) - 60 }));
  running = [{ tenant: TENANT, batchId: id, shard: 0 }];
  expect(await reconcile(deps, TENANT, id)).toBe('ended');
  const done = await view(id);
  expect(done).toMatchObject({ status: 'expired', request_counts: { total: 2, completed: 1, failed: 1 } });
  expect((await lines(done.error_file_id)).map((l) => l.error?.code)).toEqual(['batch_expired']);
  expect((await lines(done.output_file_id)).map((l) => l.custom_id)).toEqual(['b']);
});

test('all items failed: completed, with no output file, or an empty one if asked for', async () => {
  for (const empty of [false, true]) {
    const { id } = await create([text('a')], { empty_output_file: empty });
    await reconcile(deps, TENANT, id);
    await work(
      () => true,
      () => true,
    );
    await reconcile(deps, TENANT, id);
    const done = await view(id);
    expect(done).toMatchObject({ status: 'completed', request_counts: { total: 1, completed: 0, failed: 1 } });
    expect(done.output_file_id !== null).toBe(empty);
    expect(await lines(done.output_file_id)).toEqual([]);
  }
});

test('a wrong file fails with every bad line named, and leaves nothing running', async () => {
  const { id } = await create([
    text('a'),
    '{"custom_id":',
    text('a'),
    text('b', { url: '/v1/other' }),
    text('c', { body: { model: 'n' } }),
    text('d'),
  ]);
  expect(await reconcile(deps, TENANT, id)).toBe('failed');
  expect(queued.size).toBe(0);
  const done = await view(id);
  expect(done.status).toBe('failed');
  expect(done.errors?.data.map((e) => [e.line, e.code])).toEqual([
    [2, 'invalid_json_line'],
    [3, 'duplicate_custom_id'],
    [4, 'url_mismatch'],
    [5, 'model_mismatch'],
  ]);
});

test.for<[string, Buffer, string]>([
  ['nothing', Buffer.alloc(0), 'empty_file'],
  ['blank lines only', Buffer.from('\n \r\n\n'), 'empty_file'],
  ['more items than allowed', Buffer.from(['a', 'b', 'c', 'd'].map((c) => text(c)).join('\n')), 'too_many_tasks'],
])('a file of %s fails', async ([, content, code]) => {
  const { id } = await create(content);
  expect(await reconcile({ ...deps, limits: { items: 3, lineBytes: 1_000 } }, TENANT, id)).toBe('failed');
  expect((await view(id)).errors?.data).toMatchObject([{ code, line: null }]);
});

test('BOM, CRLF and blank lines are taken as they are', async () => {
  const { id } = await create(Buffer.from(`\ufeff${text('a')}\r\n\r\n${text('b')}\r\n`));
  await reconcile(deps, TENANT, id);
  await work();
  await reconcile(deps, TENANT, id);
  expect((await lines((await view(id)).output_file_id)).map((l) => l.custom_id)).toEqual(['a', 'b']);
});

test('an input file that was deleted before planning fails the batch, in words', async () => {
  const batch = await create([text('a')]);
  await deleteFile(bucket, TENANT, batch.input_file_id);
  expect(await reconcile(deps, TENANT, batch.id)).toBe('failed');
  expect((await view(batch.id)).errors?.data).toMatchObject([{ code: 'file_not_found' }]);
});

test('what cannot be accepted is refused at once', async () => {
  const file = (purpose: 'batch' | 'user_data', bytes = 10) =>
    createFile(bucket, TENANT, {
      filename: 'f',
      purpose,
      source: (async function* () {
        yield Buffer.alloc(bytes);
      })(),
    });
  const request = (input_file_id: string) =>
    createBatch({ bucket, ...requests, limits: { inputBytes: 100 } }, TENANT, {
      input_file_id,
      endpoint: ENDPOINT,
      completion_window: '24h',
    });
  await expect(request('file-nope')).rejects.toMatchObject({ status: 400, code: 'file_not_found' });
  await expect(request('../../etc')).rejects.toThrow(RequestError);
  await expect(request((await file('user_data')).id)).rejects.toMatchObject({ code: 'invalid_file_purpose' });
  await expect(request((await file('batch', 101)).id)).rejects.toMatchObject({ code: 'file_too_large' });
});

test('lists are newest first and page by the last id', async () => {
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) {
    ids.unshift((await create([text('a')])).id);
    await new Promise((wait) => setTimeout(wait, 3));
  }
  const list = (after?: string) =>
    listBatches({ bucket, ...requests }, TENANT, { limit: 2, ...(after === undefined ? {} : { after }) });
  const first = await list();
  expect(first).toMatchObject({ has_more: true, first_id: ids[0], last_id: ids[1] });
  const second = await list(first.last_id ?? '');
  const third = await list(second.last_id ?? '');
  expect([...first.data, ...second.data, ...third.data].map((b) => b.id)).toEqual(ids);
  expect(third.has_more).toBe(false);
  expect((await listBatches({ bucket, ...requests }, 'other', { limit: 10 })).data).toEqual([]);
  expect(await getBatch({ bucket, ...requests }, 'other', ids[0] ?? '')).toBeNull();
});

test('only a window of shards is queued, and the rest follows', async () => {
  const { id } = await create(Array.from({ length: 1_700 }, (_, i) => text(`id-${i}`)));
  const narrow = byHand(bucket, queued, () => running, { window: 2 });
  let rounds = 0;
  while ((await reconcile(narrow, TENANT, id)) === 'running') {
    expect(queued.size).toBeLessThanOrEqual(2);
    await work();
    expect(++rounds).toBeLessThan(10);
  }
  expect((await view(id)).request_counts.completed).toBe(1_700);
});
