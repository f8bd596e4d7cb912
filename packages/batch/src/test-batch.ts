/** What the tests of batches share: a worker that answers by hand, the lines of a file, and batches in a folder. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Bucket, openBucket } from '@batchmill/bucket';
import type { BatchObject, FindingCounts } from '@batchmill/contract';
import { createFile, readFile } from '@batchmill/files';
import type { ShardJob, ShardRef } from '@batchmill/queue';
import { lineId } from './finalize/line-id.ts';
import { type ReconcileDeps, reconcile } from './reconcile.ts';
import { type BatchDeps, type BatchOptions, createBatch, getBatch } from './requests.ts';
import { resultRecord } from './results/record.ts';
import { PartWriter, readFinished, readShard } from './results/shard.ts';
import { Schedule, type ScheduleOptions } from './schedule/schedule.ts';

export const TENANT = 'acme';

/** A queue of the test's own: what is queued is in `queued`, what runs is what the test says. */
export function byHand(
  bucket: Bucket,
  queued: Map<string, ShardJob>,
  running: () => ShardRef[] = () => [],
  options: ScheduleOptions = {},
): ReconcileDeps {
  const key = ({ batchId, shard }: ShardRef) => `${batchId}.${shard}`;
  const runningShards = async () => running();
  return {
    bucket,
    queues: {
      addShards: async (jobs) => {
        for (const job of jobs) queued.set(key(job), job);
      },
      removeShards: async (jobs) => {
        for (const job of jobs) queued.delete(key(job));
      },
      runningShards,
      triggerReconcile: async () => {},
    },
    schedule: new Schedule(bucket, { runningShards }, options),
  };
}

export type WorkOptions = [
  pick?: (id: string) => boolean,
  fail?: (id: string) => boolean,
  writer?: string,
  found?: (id: string) => FindingCounts | null,
];

/** Answers items of every queued shard, all of them or those `pick` names; `fail` decides which become error lines. */
export async function workOn(
  bucket: Bucket,
  queued: Map<string, ShardJob>,
  pick = (_: string) => true,
  fail = (_: string) => false,
  writer = 'w1',
  found = (_: string): FindingCounts | null => null,
): Promise<void> {
  for (const [key, job] of queued) {
    const items = await readShard(bucket, TENANT, job.batchId, job.shard);
    const { positions } = await readFinished(bucket, TENANT, job.batchId, job.shard);
    const mine = items.filter((i) => pick(i.custom_id) && !positions.has(i.position));
    const records = mine.map((item) =>
      resultRecord(
        item.position,
        {
          id: lineId(job.batchId, item.position),
          custom_id: item.custom_id,
          response: { status_code: fail(item.custom_id) ? 400 : 200, request_id: 'r', body: { by: writer } },
          error: null,
        },
        {
          input_tokens: 3,
          input_tokens_details: { cached_tokens: 1 },
          output_tokens: 2,
          output_tokens_details: { reasoning_tokens: 1 },
          total_tokens: 5,
        },
        found(item.custom_id),
      ),
    );
    const parts = new PartWriter(bucket, { tenant: TENANT, id: job.batchId, shard: job.shard, writer });
    await parts.write(records, positions.size + mine.length === items.length);
    queued.delete(key);
  }
}

export async function linesOf(
  bucket: Bucket,
  fileId: string | null,
): Promise<{ custom_id: string; error: { code: string } | null; response: unknown }[]> {
  if (fileId === null) return [];
  const stream = await readFile(bucket, TENANT, fileId);
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream ?? []) chunks.push(chunk);
  return Buffer.concat(chunks)
    .toString('utf8')
    .split('\n')
    .filter((l) => l !== '')
    .map((l) => JSON.parse(l));
}

/** Batches on a bucket in a folder of its own; the queue is a map. */
export interface TestBatches {
  bucket: Bucket;
  deps: BatchDeps;
  queued: Map<string, ShardJob>;
  create(customIds: readonly string[], request?: object, options?: BatchOptions): Promise<BatchObject>;
  view(id: string): Promise<BatchObject>;
  reconcile(id: string): ReturnType<typeof reconcile>;
  work(...how: WorkOptions): Promise<void>;
  /** Creates a batch and runs it to its end; of its items those that `fail` names are errors. */
  run(customIds: readonly string[], fail?: (id: string) => boolean): Promise<BatchObject>;
  /** Every key in the bucket. */
  keys(prefix?: string): Promise<string[]>;
  stop(): Promise<void>;
}

export const ENDPOINT = '/v1/chat/completions';

export async function startTestBatches(more: Partial<BatchDeps> = {}): Promise<TestBatches> {
  const folder = await mkdtemp(join(tmpdir(), 'batchmill-batch-'));
  const bucket = await openBucket(pathToFileURL(folder).href);
  const queued = new Map<string, ShardJob>();
  const deps: BatchDeps = { bucket, trigger: async () => {}, ...more };
  const running = byHand(bucket, queued);
  const line = (id: string) =>
    JSON.stringify({ custom_id: id, method: 'POST', url: ENDPOINT, body: { model: 'm', messages: [] } });
  const tests: TestBatches = {
    bucket,
    deps,
    queued,
    create: async (customIds, request = {}, options = {}) => {
      const file = await createFile(bucket, TENANT, {
        filename: 'in.jsonl',
        purpose: 'batch',
        source: (async function* () {
          yield Buffer.from(customIds.map((id) => `${line(id)}\n`).join(''));
        })(),
      });
      const asked = { input_file_id: file.id, endpoint: ENDPOINT, completion_window: '24h', ...request } as const;
      return createBatch(deps, TENANT, asked, options);
    },
    view: async (id) => {
      const batch = await getBatch(deps, TENANT, id);
      if (batch === null) throw new Error(`no batch ${id}`);
      return batch;
    },
    reconcile: (id) => reconcile(running, TENANT, id),
    work: (...how) => workOn(bucket, queued, ...how),
    run: async (customIds, fail) => {
      const { id } = await tests.create(customIds);
      await tests.reconcile(id);
      await tests.work(undefined, fail);
      await tests.reconcile(id);
      return tests.view(id);
    },
    keys: async (prefix = '') => {
      const found: string[] = [];
      for await (const { key } of bucket.list(prefix)) found.push(key);
      return found;
    },
    stop: async () => {
      await bucket.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return tests;
}
