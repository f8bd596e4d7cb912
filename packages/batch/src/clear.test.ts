import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Bucket, layout, openBucket } from '@batchmill/bucket';
import { newId } from '@batchmill/contract';
import { createFile } from '@batchmill/files';
import type { ShardJob } from '@batchmill/queue';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { clearLate, LATE_SECONDS } from './clear.ts';
import { type ReconcileDeps, reconcile } from './reconcile.ts';
import { createBatch } from './requests.ts';
import { PartWriter } from './results/shard.ts';
import { byHand, TENANT, workOn } from './test-batch.ts';

/** What is left behind by those who were slow, thought dead, or died. */
let folder: string;
let bucket: Bucket;
let queued: Map<string, ShardJob>;
let deps: ReconcileDeps;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-clear-'));
  bucket = await openBucket(pathToFileURL(folder).href);
  queued = new Map();
  deps = byHand(bucket, queued);
});
afterEach(async () => {
  await bucket.close();
  await rm(folder, { recursive: true, force: true });
});

async function create(on: Bucket = bucket, id?: string): Promise<string> {
  const line = { custom_id: 'a', method: 'POST', url: '/v1/chat/completions', body: { model: 'm', messages: [] } };
  const file = await createFile(bucket, TENANT, {
    filename: 'in.jsonl',
    purpose: 'batch',
    source: (async function* () {
      yield Buffer.from(JSON.stringify(line));
    })(),
  });
  const request = {
    input_file_id: file.id,
    endpoint: '/v1/chat/completions' as const,
    completion_window: '24h' as const,
  };
  const batch = await createBatch(
    { bucket: on, trigger: async () => {} },
    TENANT,
    request,
    id === undefined ? {} : { id },
  );
  return batch.id;
}

async function keys(prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of bucket.list(prefix)) found.push(key);
  return found;
}

test('what a worker writes after the end is read by nobody, and goes a while later', async () => {
  const id = await create();
  await reconcile(deps, TENANT, id);
  await workOn(bucket, queued);
  expect(await reconcile(deps, TENANT, id)).toBe('ended');
  expect(await keys(layout.batch.openPrefix)).toEqual([]);
  const before = await keys(layout.batch.prefix(TENANT, id));

  const late = new PartWriter(bucket, { tenant: TENANT, id, shard: 0, writer: 'late' });
  await late.write([], true);
  await bucket.put(layout.batch.shard(TENANT, id, 0), 'a slow planner');
  await clearLate(bucket, Date.now());
  expect(await keys(layout.batch.prefix(TENANT, id))).toHaveLength(before.length + 2);
  await clearLate(bucket, Date.now() + (LATE_SECONDS + 1) * 1000);
  expect(await keys(layout.batch.prefix(TENANT, id))).toEqual(before);
  expect(await keys(layout.batch.endedPrefix)).toEqual([]);
});

test('one that finalizes while another has ended the batch and cleared up goes on with what that one wrote', async () => {
  const id = await create();
  await reconcile(deps, TENANT, id);
  await workOn(bucket, queued);
  // Between its look at what exists and its reading of the parts, all of it happens.
  const slow: Bucket = Object.create(bucket, {
    create: {
      value: async (key: string, body: string) => {
        if (key === layout.batch.finalizing(TENANT, id)) await reconcile(deps, TENANT, id);
        return bucket.create(key, body);
      },
    },
    get: { value: (key: string) => bucket.get(key) },
    list: { value: (...args: Parameters<Bucket['list']>) => bucket.list(...args) },
    put: { value: (...args: Parameters<Bucket['put']>) => bucket.put(...args) },
    delete: { value: (key: string) => bucket.delete(key) },
  });
  expect(await reconcile({ ...deps, bucket: slow }, TENANT, id)).toBe('ended');
});

/** An id of a batch that was begun so long ago that it counts as given up. */
const oldId = () =>
  newId('batch_').replace(/_[0-9a-f]{12}/, `_${(Date.now() - 3_600_000).toString(16).padStart(12, '0')}`);

test('of a batch that its creator gave up nothing stays', async () => {
  const id = oldId();
  await bucket.put(layout.batch.open(TENANT, id), '');
  await bucket.put(layout.batch.index(TENANT, id), '');
  expect(await reconcile(deps, TENANT, id)).toBe('gone');
  expect(await keys('index/')).toEqual([]);
});

test('a batch whose slow creator was taken for dead is run all the same', async () => {
  const id = oldId();
  const slow: Bucket = Object.create(bucket, {
    get: { value: (key: string) => bucket.get(key) },
    put: { value: (...args: Parameters<Bucket['put']>) => bucket.put(...args) },
    head: { value: (key: string) => bucket.head(key) },
    create: {
      value: async (key: string, body: string) => {
        expect(await reconcile(deps, TENANT, id)).toBe('gone');
        return bucket.create(key, body);
      },
    },
  });
  await create(slow, id);
  expect(await keys(layout.batch.openPrefix)).toEqual([layout.batch.open(TENANT, id)]);
  expect(await keys(layout.batch.indexPrefix(TENANT))).toEqual([layout.batch.index(TENANT, id)]);
});
