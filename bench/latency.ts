import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import OpenAI, { toFile } from 'openai';
import { startRedis } from '../test/servers/redis.ts';
import { ServiceProcess } from '../test/servers/service.ts';
import { startStack } from '../test/servers/stack.ts';
import type { BenchOptions } from './main.ts';

/**
 * How long one small batch takes when nothing else is going on: a batch of one item of 8 tokens on the shipped test model,
 * engine up, from the create call until `completed` is seen by polling. Medians, in milliseconds.
 */
export async function run(options: BenchOptions): Promise<Record<string, number>> {
  const rounds = options.items ?? (options.quick ? 5 : 30);
  const folder = await mkdtemp(join(tmpdir(), 'batchmill-bench-'));
  try {
    const redis = await startRedis();
    const stack = await startStack({ queueUrl: redis.url, bucketUrl: pathToFileURL(join(folder, 'bucket')).href });
    const onRedis = await measure(stack.url, rounds, 'Redis');
    await stack.stop();
    await redis.stop();

    const embedded = await ServiceProcess.start({
      entry: 'apps/cli/src/main.ts',
      args: ['start'],
      env: { BATCHMILL_HOME: join(folder, 'home'), PORT: '0', QUEUE_URL: '', BUCKET_URL: '', LOG_LEVEL: 'warn' },
      ready: (printed) => printed.includes('Batchmill is up'),
    });
    const url = /(http:\/\/[\d.]+:\d+)\/v1/.exec(embedded.stdout)?.[1] ?? '';
    const onEmbedded = await measure(url, rounds, 'embedded');
    await embedded.end();
    return { redis_ms: onRedis, embedded_ms: onEmbedded };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure(url: string, rounds: number, name: string): Promise<number> {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
  const line = {
    custom_id: 'only',
    method: 'POST',
    url: '/v1/chat/completions',
    body: { model: 'default', messages: [{ role: 'user', content: 'Hello?' }], max_tokens: 8, temperature: 0 },
  };
  const file = await client.files.create({
    file: await toFile(Buffer.from(JSON.stringify(line)), 'one.jsonl'),
    purpose: 'batch',
  });
  const times: number[] = [];
  for (let round = 0; round < rounds + 2; round++) {
    const start = performance.now();
    const { id } = await client.batches.create({
      input_file_id: file.id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    });
    let status = '';
    while (status !== 'completed') {
      status = (await client.batches.retrieve(id)).status;
      if (status === 'failed') throw new Error('the batch failed');
      if (status !== 'completed') await sleep(5);
    }
    // The first two warm up.
    if (round >= 2) times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const median = Math.round(times[Math.floor(times.length / 2)] ?? 0);
  process.stderr.write(
    `${name}: median ${median} ms, slowest ${Math.round(times.at(-1) ?? 0)} ms of ${times.length}\n`,
  );
  return median;
}
