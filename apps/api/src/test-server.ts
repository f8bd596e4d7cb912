import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Bucket, openBucket } from '@batchmill/bucket';
import { createLogger } from '@batchmill/telemetry';
import OpenAI from 'openai';
import { type ServeOptions, serve } from './server.ts';

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

export async function startTestServer(options: Partial<ServeOptions> = {}): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), 'batchmill-api-'));
  const bucket = await openBucket(pathToFileURL(join(folder, 'bucket')).href);
  const triggered: string[] = [];
  const logger = createLogger('test');
  logger.level = 'silent';
  const server = await serve({
    port: 0,
    logger,
    batch: {
      bucket,
      trigger: async (_tenant, id) => {
        triggered.push(id);
      },
    },
    ...options,
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
