import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import OpenAI, { toFile } from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { ServiceProcess } from '../servers/service.ts';
import { type Stack, startStack } from '../servers/stack.ts';
import { itemMark, type StandIn, standIn } from '../servers/stand-in-engine.ts';

/**
 * From no workers to four and back, twice, as KEDA's ScaledJob does it: a scaler that asks the API how many workers are wanted and starts
 * what is missing. Workers end by themselves. API, control worker and infer workers are real processes, the engine is the stand-in.
 */
const OPERATOR_KEY = 'an-operator-key-of-the-test';
const MOST = 4;
/** Enough for four shards, and by the estimate before anything is measured more than one worker can do in time. */
const ITEMS = 2_000;
const ANSWER_MS = 40;
const POLL_MS = 500;
const Signal = z.object({ workers_wanted: z.number() });

let folder: string;
let redis: RedisServer;
let engine: StandIn;
let stack: Stack;
let env: Record<string, string>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-scaled-'));
  [redis, engine] = await Promise.all([startRedis(), standIn({ answerMs: ANSWER_MS, slots: 4 })]);
  env = {
    ...engine.env,
    QUEUE_URL: redis.url,
    BUCKET_URL: pathToFileURL(join(folder, 'bucket')).href,
    OPERATOR_KEY,
    MAX_WORKERS: String(MOST),
    // Work is planned for the first hundredth of an hour: bursts are worth several workers.
    SCALE_PACE: '1',
    SCALE_PATIENCE: '0',
    WORKER_START: '5',
  };
  stack = await startStack({ queueUrl: redis.url, bucketUrl: env.BUCKET_URL ?? '', env });
  await stack.infer.end();
});
afterAll(async () => {
  await stack?.stop();
  await redis?.stop();
  await engine?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function wanted(): Promise<number> {
  const response = await fetch(`${stack.url}/v1/autoscale/text`, {
    headers: { authorization: `Bearer ${OPERATOR_KEY}` },
  });
  return Signal.parse(await response.json()).workers_wanted;
}

/** Plays KEDA's ScaledJob until it is told to stop. */
function startScaler() {
  const workers = new Set<ServiceProcess>();
  const seen = { most: 0, started: 0, codes: [] as (number | null)[] };
  let over = false;
  const start = async () => {
    const worker = new ServiceProcess({
      entry: 'apps/worker/src/main.ts',
      args: ['--roles', 'infer', '--lanes', 'text', '--exit-when-idle', '3s'],
      env,
      ready: (printed) => printed.includes('worker is up'),
    });
    workers.add(worker);
    seen.started++;
    seen.most = Math.max(seen.most, workers.size);
    await worker.start();
    while (worker.running) await sleep(100);
    seen.codes.push(worker.exitCode);
    workers.delete(worker);
  };
  const jobs: Promise<void>[] = [];
  const loop = (async () => {
    while (!over) {
      for (let missing = (await wanted()) - workers.size; missing > 0; missing--) jobs.push(start());
      await sleep(POLL_MS);
    }
    await Promise.all(jobs);
  })();
  return {
    seen,
    running: () => workers.size,
    end: () => {
      over = true;
      return loop;
    },
  };
}

const client = () => new OpenAI({ baseURL: `${stack.url}/v1`, apiKey: 'none' });

async function burst(): Promise<string> {
  const lines = Array.from({ length: ITEMS }, (_, i) =>
    JSON.stringify({
      custom_id: `${i}`,
      method: 'POST',
      url: '/v1/chat/completions',
      body: { model: 'default', messages: [{ role: 'user', content: itemMark(i) }], max_tokens: 200 },
    }),
  );
  const file = await client().files.create({
    file: await toFile(Buffer.from(lines.join('\n')), 'b.jsonl'),
    purpose: 'batch',
  });
  const endpoint = '/v1/chat/completions';
  // An hour is the shortest window; the SDK's type knows OpenAI's only one.
  const completion_window = '1h' as '24h';
  return (await client().batches.create({ input_file_id: file.id, endpoint, completion_window })).id;
}

test('workers come for each burst and go after it, and every batch is done in time', async () => {
  expect(await wanted()).toBe(0);
  const scaler = startScaler();
  for (let round = 1; round <= 2; round++) {
    const id = await burst();
    for (;;) {
      const batch = await client().batches.retrieve(id);
      if (batch.status === 'completed') {
        expect(batch.request_counts).toEqual({ total: ITEMS, completed: ITEMS, failed: 0 });
        expect(batch.completed_at ?? Number.POSITIVE_INFINITY).toBeLessThan(batch.expires_at ?? 0);
        break;
      }
      expect(['validating', 'in_progress', 'finalizing']).toContain(batch.status);
      await sleep(200);
    }
    await expect.poll(wanted, { timeout: 30_000, interval: 500 }).toBe(0);
    await expect.poll(scaler.running, { timeout: 60_000 }).toBe(0);
    expect(scaler.seen.started).toBeGreaterThanOrEqual(round);
  }
  await scaler.end();
  expect(scaler.seen.most).toBe(MOST);
  expect(scaler.seen.codes.every((code) => code === 0)).toBe(true);
  const calls = engine.calls();
  expect(calls.size).toBe(ITEMS);
  // Every item once in each round: nothing was done over when workers came and went.
  expect([...calls.values()].every((n) => n === 2)).toBe(true);
});
