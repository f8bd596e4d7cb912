import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type BatchDeps, lineId, PartWriter, readShard, reconcile, resultRecord, Schedule } from '@batchmill/batch';
import { type Bucket, openBucket } from '@batchmill/bucket';
import { createLogger } from '@batchmill/telemetry';
import OpenAI, { toFile } from 'openai';
import { createAccess } from './http/access.ts';
import { type ServeOptions, serve } from './server.ts';

/** How long its server trusts what it read about keys: long enough to be seen, and not the seconds of the product. */
const KEY_CACHE_MS = 250;

/** A real server on a real bucket in a folder of its own, for the tests of the routes. */
export interface TestServer {
  url: string;
  bucket: Bucket;
  folder: string;
  /** Batches that a reconcile was asked for. */
  triggered: string[];
  /** The official SDK, without retries, so that a test sees the first answer. */
  client(key?: string): OpenAI;
  /** Every key in the bucket. */
  keys(): Promise<string[]>;
  stop(): Promise<void>;
}

export interface FinishOptions {
  /** `custom_id`s whose lines are errors. */
  fail?: string[];
  metadata?: Record<string, string>;
  /** `false`: nobody begins with it. */
  end?: boolean;
  key?: string;
  /** Of `key`. */
  tenant?: string;
}

/** Creates a batch of these `custom_id`s through the API and plays the workers by hand, until it has ended. Returns its id. */
export async function finishBatch(server: TestServer, ids: string[], options: FinishOptions = {}): Promise<string> {
  const { bucket } = server;
  const { fail = [], tenant = 'default', key } = options;
  const client = server.client(key);
  const endpoint = '/v1/chat/completions' as const;
  const lines = ids.map((id) => JSON.stringify({ custom_id: id, method: 'POST', url: endpoint, body: { model: 'm' } }));
  const file = await client.files.create({
    file: await toFile(Buffer.from(lines.join('\n')), 'in.jsonl'),
    purpose: 'batch',
  });
  const { id } = await client.batches.create({
    input_file_id: file.id,
    endpoint,
    completion_window: '24h',
    ...(options.metadata === undefined ? {} : { metadata: options.metadata }),
  });
  if (options.end === false) return id;
  const queues = {
    addShards: async () => {},
    removeShards: async () => {},
    runningShards: async () => [],
    triggerReconcile: async () => {},
  };
  const schedule = new Schedule(bucket, queues);
  await reconcile({ bucket, queues, schedule }, tenant, id);
  const items = await readShard(bucket, tenant, id, 0);
  await new PartWriter(bucket, { tenant, id, shard: 0, writer: 'w' }).write(
    items.map(({ position, custom_id }) => {
      const status_code = fail.includes(custom_id) ? 500 : 200;
      const response = { status_code, request_id: 'r', body: {} };
      return resultRecord(position, { id: lineId(id, position), custom_id, response, error: null }, null);
    }),
    true,
  );
  await reconcile({ bucket, queues, schedule }, tenant, id);
  return id;
}

export async function startTestServer(
  options: Partial<ServeOptions> & Pick<BatchDeps, 'retention'> = {},
): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), 'batchmill-api-'));
  const bucket = await openBucket(pathToFileURL(join(folder, 'bucket')).href);
  const triggered: string[] = [];
  const logger = createLogger('test');
  logger.level = 'silent';
  const { retention, ...more } = options;
  const server = await serve({
    port: 0,
    logger,
    access: createAccess(bucket, { cacheMs: KEY_CACHE_MS }),
    batch: {
      bucket,
      ...(retention === undefined ? {} : { retention }),
      trigger: async (_tenant, id) => {
        triggered.push(id);
      },
    },
    ...more,
  });
  return {
    url: server.url,
    bucket,
    folder,
    triggered,
    client: (key = 'none') => new OpenAI({ apiKey: key, baseURL: `${server.url}/v1`, maxRetries: 0 }),
    keys: async () => {
      const found: string[] = [];
      for await (const { key } of bucket.list('')) found.push(key);
      return found;
    },
    stop: async () => {
      await server.close();
      await bucket.close();
      await rm(folder, { recursive: true });
    },
  };
}
