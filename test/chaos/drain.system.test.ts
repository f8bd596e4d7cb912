import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { clientOf, ended } from '../e2e/suite.ts';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { type Stack, startStack } from '../servers/stack.ts';
import { type StandIn, standIn } from '../servers/stand-in-engine.ts';
import { checkBatch } from './check.ts';
import { askedOf, submit } from './run.ts';

/** SIGTERM: stop taking, hand in what is finished, end with 0. */
let folder: string;
let redis: RedisServer;
let stack: Stack;
let engine: StandIn;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-drain-'));
  redis = await startRedis();
  engine = await standIn({ slots: 4, answerMs: 100 });
  stack = await startStack({
    queueUrl: redis.url,
    bucketUrl: pathToFileURL(folder).href,
    env: { ...engine.env, PART_INTERVAL: '1', WORKER_LOCK: '5', SWEEP_INTERVAL: '2', STOP_GRACE: '5' },
  });
});
afterAll(async () => {
  await stack?.stop();
  await redis?.stop();
  await engine?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const everything = () => [stack.infer, stack.control, stack.api];

test('under load each process ends with 0, and not one answered item is done again', async () => {
  const client = clientOf(stack.url);
  const items = 600;
  const id = await submit(client, 0, items);
  while (((await client.batches.retrieve(id)).request_counts?.completed ?? 0) === 0) await sleep(50);
  for (const service of everything()) {
    expect(await service.end()).toBe(0);
    await service.start();
  }
  const batch = await ended(client, id);
  expect(await checkBatch(client, batch, askedOf(0, items))).toEqual({ lost: [], doubled: [], wrong: [] });
  for (const [n, times] of engine.calls()) expect(times, `item ${n}`).toBe(1);
});

test("while the queue's server is away each process ends with 0 all the same", async () => {
  await redis.kill();
  expect(await Promise.all(everything().map((service) => service.end()))).toEqual([0, 0, 0]);
  await redis.start();
  for (const service of everything()) await service.start();
});
