import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chat, jsonl } from '../e2e/items.ts';
import { clientOf, ended, resultsOf, submit } from '../e2e/suite.ts';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { type Stack, startStack } from '../servers/stack.ts';

/** Faults from outside, in mid-batch: afterwards there is exactly one line per item. */
let folder: string;
let redis: RedisServer;
let stack: Stack;
let client: OpenAI;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-chaos-'));
  redis = await startRedis();
  stack = await startStack({
    queueUrl: redis.url,
    bucketUrl: pathToFileURL(folder).href,
    env: { PART_INTERVAL: '1', WORKER_LOCK: '3', SWEEP_INTERVAL: '2' },
  });
  client = clientOf(stack.url);
});
afterAll(async () => {
  await stack?.stop();
  await redis?.stop();
  await rm(folder, { recursive: true, force: true });
});

const input = Array.from({ length: 240 }, (_, i) => chat(`k-${i}`, `Say ${i}.`, { max_tokens: 32 }));

async function begun(): Promise<string> {
  const id = await submit(client, jsonl(input));
  while (((await client.batches.retrieve(id)).request_counts?.completed ?? 0) < 10) await sleep(20);
  return id;
}

async function completes(id: string): Promise<void> {
  const batch = await ended(client, id);
  expect(batch.status).toBe('completed');
  const results = await resultsOf(client, batch, input);
  for (const line of results.values()) expect(line.response?.status_code).toBe(200);
}

test('SIGKILL of the infer worker', async () => {
  const id = await begun();
  await stack.infer.kill();
  await sleep(500);
  await stack.infer.start();
  await completes(id);
});

test('SIGTERM of the infer worker: it hands in what it has and another goes on', async () => {
  const id = await begun();
  expect(await stack.infer.end()).toBe(0);
  const handedIn = (await client.batches.retrieve(id)).request_counts?.completed ?? 0;
  expect(handedIn).toBeGreaterThan(10);
  await stack.infer.start();
  await completes(id);
});

test('SIGKILL of the control worker', async () => {
  const id = await begun();
  await stack.control.kill();
  await stack.control.start();
  await completes(id);
});

test('the queue is wiped', async () => {
  const id = await begun();
  await redis.kill();
  await redis.start();
  await completes(id);
});

test('the engine process is killed under running items: each is still answered', async () => {
  const id = await begun();
  const children = execFileSync('ps', ['-eo', 'pid,ppid,comm'], { encoding: 'utf8' });
  const rows = children.split('\n').map((row) => row.trim().split(/\s+/));
  const below = (pid: number): number[] =>
    rows.filter((r) => Number(r[1]) === pid).flatMap((r) => [Number(r[0]), ...below(Number(r[0]))]);
  const engines = below(stack.infer.pid).filter((pid) =>
    rows.some((r) => Number(r[0]) === pid && r[2]?.startsWith('llama-serv')),
  );
  expect(engines.length).toBeGreaterThan(0);
  for (const pid of engines) process.kill(pid, 'SIGKILL');
  await completes(id);
});
