import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { chat, jsonl } from '../e2e/items.ts';
import { clientOf, ended, resultsOf, submit } from '../e2e/suite.ts';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { type Stack, startStack } from '../servers/stack.ts';
import { answerTo, itemMark, POISON, type StandIn, standIn } from '../servers/stand-in-engine.ts';

/** Items that crash the engine, whoever is beside them. */
let folder: string;
let redis: RedisServer;
let stack: Stack;
let engine: StandIn;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-poison-'));
  redis = await startRedis();
  engine = await standIn({ slots: 8 });
  stack = await startStack({
    queueUrl: redis.url,
    bucketUrl: pathToFileURL(folder).href,
    env: { ...engine.env, PART_INTERVAL: '1', SWEEP_INTERVAL: '2' },
  });
});
afterAll(async () => {
  await stack?.stop();
  await redis?.stop();
  await engine?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const Health = z.object({ status: z.literal('ok'), engine: z.object({ up: z.boolean(), deaths: z.number() }) });

test('each costs one error line, its neighbours are answered, and the health of the worker says so', async () => {
  const poisoned = new Set([3, 57, 58, 199]);
  const input = Array.from({ length: 200 }, (_, n) =>
    chat(`item-${n}`, `${itemMark(n)} What is it?${poisoned.has(n) ? ` ${POISON}` : ''}`),
  );
  const client = clientOf(stack.url);
  const batch = await ended(client, await submit(client, jsonl(input)));
  expect(batch).toMatchObject({ status: 'completed', request_counts: { total: 200, completed: 196, failed: 4 } });
  const results = await resultsOf(client, batch, input);
  for (const [id, { response }] of results) {
    const n = Number(id.slice('item-'.length));
    if (poisoned.has(n))
      expect(response).toMatchObject({ status_code: 500, body: { error: { code: 'engine_crash' } } });
    else expect(response?.body.choices?.[0]?.message.content).toBe(answerTo(n));
  }
  // Two may have died in one crash, but each dies once more alone.
  const { deaths } = Health.parse(await (await fetch(`${stack.health.infer}/healthz`)).json()).engine;
  expect(deaths).toBeGreaterThanOrEqual(poisoned.size + 1);
  expect(deaths).toBeLessThanOrEqual(2 * poisoned.size);
  // Nobody was asked for more often than the crashes beside it explain: bystanders twice, culprits twice.
  for (const [n, times] of engine.calls()) expect(times, `item ${n}`).toBeLessThanOrEqual(1 + deaths);
  const metrics = await (await fetch(`${stack.health.infer}/metrics`)).text();
  expect(metrics).toMatch(new RegExp(`^batchmill_engine_restarts_total\\{[^}]*\\} ${deaths}$`, 'm'));
});
