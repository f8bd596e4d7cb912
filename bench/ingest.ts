import { openAsBlob } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import OpenAI from 'openai';
import { freePorts } from '../test/servers/ports.ts';
import { startRedis } from '../test/servers/redis.ts';
import { ServiceProcess } from '../test/servers/service.ts';
import { writeInput } from './input.ts';
import type { BenchOptions } from './main.ts';

/**
 * Taking work in: `upload_mb_per_s` of a 200 MB JSONL over HTTP into a file bucket, by the `openai` client on the same
 * machine; `plan_mb_per_s` from the create call to `in_progress`, when every line is checked and every shard written.
 * No infer worker runs. MB are 10⁶ bytes.
 */
export async function run(options: BenchOptions): Promise<Record<string, number>> {
  const items = options.items ?? (options.quick ? 5_000 : 50_000);
  const folder = await mkdtemp(join(tmpdir(), 'batchmill-bench-'));
  const redis = await startRedis();
  const [port = 0] = await freePorts(1);
  const env = {
    QUEUE_URL: redis.url,
    BUCKET_URL: pathToFileURL(join(folder, 'bucket')).href,
    PORT: String(port),
  };
  const services = [
    await ServiceProcess.start({ entry: 'apps/api/src/main.ts', env, ready: (p) => p.includes('the API is up') }),
    await ServiceProcess.start({
      entry: 'apps/worker/src/main.ts',
      args: ['--roles', 'control'],
      env,
      ready: (p) => p.includes('worker is up'),
    }),
  ];
  try {
    const input = join(folder, 'input.jsonl');
    const megabytes = (await writeInput(input, items, 4_000)) / 1e6;
    const client = new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: 'none', maxRetries: 0 });
    const uploads: number[] = [];
    const plans: number[] = [];
    for (let round = 0; round < 3; round++) {
      const uploadStart = performance.now();
      const file = await client.files.create({
        file: new File([await openAsBlob(input)], 'input.jsonl'),
        purpose: 'batch',
      });
      uploads.push(megabytes / ((performance.now() - uploadStart) / 1000));
      const planStart = performance.now();
      const { id } = await client.batches.create({
        input_file_id: file.id,
        endpoint: '/v1/chat/completions',
        completion_window: '24h',
      });
      while ((await client.batches.retrieve(id)).status === 'validating') await sleep(10);
      plans.push(megabytes / ((performance.now() - planStart) / 1000));
      process.stderr.write(`upload ${uploads.at(-1)?.toFixed(0)} MB/s, plan ${plans.at(-1)?.toFixed(0)} MB/s\n`);
      await client.batches.cancel(id);
      // The input of a batch that has not ended stays.
      while ((await client.batches.retrieve(id)).status !== 'cancelled') await sleep(10);
      await client.files.delete(file.id);
    }
    const median = (values: number[]) => Math.round(values.toSorted((a, b) => a - b)[1] ?? 0);
    return { upload_mb_per_s: median(uploads), plan_mb_per_s: median(plans), megabytes: Math.round(megabytes) };
  } finally {
    for (const service of services) await service.end();
    await redis.stop();
    await rm(folder, { recursive: true, force: true });
  }
}
