import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { openBucket } from '@batchmill/bucket';
import { createKey } from '@batchmill/keys';
import { FUNCTION_URL } from '../test/lambda/events.ts';
import { LambdaFunction } from '../test/lambda/function.ts';
import { startRedis } from '../test/servers/redis.ts';
import type { BenchOptions } from './main.ts';

/**
 * The API as a Lambda function, in sandboxes that have just started: `cold_ms`, from the start of the process until the first request
 * (with its API key) is answered, and `warm_ms`, a request after it. Medians, on Redis and a bucket in a folder. Code is compiled
 * already, as in the image: the first sandbox, which does that, does not count.
 */
export async function run(options: BenchOptions): Promise<Record<string, number>> {
  const rounds = options.items ?? (options.quick ? 3 : 15);
  const folder = await mkdtemp(join(tmpdir(), 'batchmill-bench-'));
  const redis = await startRedis();
  try {
    const bucketUrl = pathToFileURL(join(folder, 'bucket')).href;
    const bucket = await openBucket(bucketUrl);
    const { key } = await createKey(bucket, { name: 'bench', tenant: 'bench' });
    const asked = { method: 'GET', path: '/v1/batches?limit=5', headers: { authorization: `Bearer ${key}` } };
    const env = { QUEUE_URL: redis.url, BUCKET_URL: bucketUrl, NODE_COMPILE_CACHE: join(folder, 'compile-cache') };
    const cold: number[] = [];
    const warm: number[] = [];
    for (let round = 0; round <= rounds; round++) {
      const fn = await LambdaFunction.start('apps/api/lambda.mjs', FUNCTION_URL, env);
      const first = await fn.ask(asked);
      if (first.status !== 200) throw new Error(`the function answered ${first.status}: ${first.body}`);
      if (round > 0) cold.push(first.sinceStartMs);
      for (let i = 0; i < 5; i++) {
        const start = performance.now();
        await fn.ask(asked);
        warm.push(performance.now() - start);
      }
      await fn.stop();
      process.stderr.write(`sandbox ${round}: ${Math.round(first.sinceStartMs)} ms\n`);
    }
    await bucket.close();
    return { cold_ms: Math.round(median(cold)), warm_ms: Math.round(median(warm) * 10) / 10 };
  } finally {
    await redis.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
