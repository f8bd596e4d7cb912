import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { type Bucket, openBucket } from '@batchmill/bucket';
import { createFile } from '@batchmill/files';
import { createKey } from '@batchmill/keys';
import { type Asked, FUNCTION_URL } from '../test/lambda/events.ts';
import { LambdaFunction } from '../test/lambda/function.ts';
import { startRedis } from '../test/servers/redis.ts';
import type { BenchOptions } from './main.ts';
import { median } from './median.ts';

/**
 * The API as a Lambda function, in sandboxes that have just started: `cold_ms`, from the start of the process until the first request
 * (with its API key) is answered; `cold_batch_ms`, the same where that request creates a batch and so needs the queue; and `warm_ms`,
 * a request after it. Medians, on Redis and a bucket in a folder. Code is compiled already, as in the image: the first sandboxes, which
 * do that, do not count.
 */
export async function run(options: BenchOptions): Promise<Record<string, number>> {
  const rounds = options.items ?? (options.quick ? 3 : 15);
  const folder = await mkdtemp(join(tmpdir(), 'batchmill-bench-'));
  const redis = await startRedis();
  try {
    const bucketUrl = pathToFileURL(join(folder, 'bucket')).href;
    const bucket = await openBucket(bucketUrl);
    const as = async (tenant: string) => {
      const { key } = await createKey(bucket, { name: 'bench', tenant });
      return { authorization: `Bearer ${key}` };
    };
    // Of another tenant than the batches that are created: the list stays as it is.
    const list: Asked = { method: 'GET', path: '/v1/batches?limit=5', headers: await as('reader') };
    const create = await creation(bucket, 'writer', await as('writer'));
    const env = { QUEUE_URL: redis.url, BUCKET_URL: bucketUrl, NODE_COMPILE_CACHE: join(folder, 'compile-cache') };
    const cold: number[] = [];
    const coldBatch: number[] = [];
    const warm: number[] = [];
    for (let round = 0; round <= rounds; round++) {
      for (const [asked, times] of [
        [list, cold],
        [create, coldBatch],
      ] as const) {
        const fn = await LambdaFunction.start('apps/api/lambda.mjs', FUNCTION_URL, env);
        const first = await fn.ask(asked);
        if (first.status !== 200) throw new Error(`the function answered ${first.status}: ${first.body}`);
        if (round > 0) times.push(first.sinceStartMs);
        for (let i = 0; i < 5; i++) {
          const start = performance.now();
          await fn.ask(list);
          warm.push(performance.now() - start);
        }
        await fn.stop();
        process.stderr.write(`sandbox ${round}, ${asked.method}: ${Math.round(first.sinceStartMs)} ms\n`);
      }
    }
    await bucket.close();
    return {
      cold_ms: Math.round(median(cold)),
      cold_batch_ms: Math.round(median(coldBatch)),
      warm_ms: Math.round(median(warm) * 10) / 10,
    };
  } finally {
    await redis.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** The request that creates a batch of one line. */
async function creation(bucket: Bucket, tenant: string, headers: Record<string, string>): Promise<Asked> {
  const endpoint = '/v1/chat/completions';
  const body = { model: 'default', messages: [{ role: 'user', content: 'Hello' }] };
  const line = Buffer.from(JSON.stringify({ custom_id: 'a', method: 'POST', url: endpoint, body }));
  const details = { filename: 'a.jsonl', purpose: 'batch', source: Readable.from([line]) } as const;
  const { id } = await createFile(bucket, tenant, details);
  return {
    method: 'POST',
    path: '/v1/batches',
    headers: { ...headers, 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify({ input_file_id: id, endpoint, completion_window: '24h' })),
  };
}
