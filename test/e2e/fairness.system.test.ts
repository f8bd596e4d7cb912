import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { openBucket } from '@batchmill/bucket';
import { createKey } from '@batchmill/keys';
import type OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { type Stack, startStack } from '../servers/stack.ts';
import { chat, jsonl } from './items.ts';
import { clientOf, ended, submit } from './suite.ts';

/**
 * Tenants beside each other, as processes, on a worker whose engine takes 20 ms an item, four side by side: the shards that
 * are queued, and the items that wait, are far more than it can hold.
 */
let folder: string;
let redis: RedisServer;
let stack: Stack;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-fairness-'));
  redis = await startRedis();
  stack = await startStack({
    queueUrl: redis.url,
    bucketUrl: pathToFileURL(folder).href,
    inferEntry: 'bench/instant-worker.ts',
    env: { BENCH_ITEM_MS: '20', BENCH_SLOTS: '4', PART_INTERVAL: '1' },
  });
});
afterAll(async () => {
  await stack?.stop();
  await redis?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function clientFor(tenant: string): Promise<OpenAI> {
  const bucket = await openBucket(pathToFileURL(folder).href);
  const { key } = await createKey(bucket, { tenant, name: 'test' });
  await bucket.close();
  return clientOf(stack.url, key);
}

const items = (count: number) => jsonl(Array.from({ length: count }, (_, i) => chat(`i-${i}`, `Say ${i}.`)));
const left = async (client: OpenAI, id: string) => {
  const { request_counts } = await client.batches.retrieve(id);
  return (request_counts?.total ?? 0) - (request_counts?.completed ?? 0);
};

async function begun(client: OpenAI, count: number): Promise<string> {
  const id = await submit(client, items(count));
  await expect.poll(() => left(client, id), { timeout: 60_000 }).toBeLessThan(count);
  await expect.poll(() => left(client, id), { timeout: 60_000 }).toBeGreaterThan(0);
  return id;
}

test('a batch of ten is done while a large one of another tenant has hardly begun, and one of its own too', async () => {
  const [big, small] = [await clientFor('big'), await clientFor('small')];
  const large = await begun(big, 20_000);
  for (const client of [small, big]) {
    const batch = await ended(client, await submit(client, items(10)));
    expect(batch).toMatchObject({ status: 'completed', request_counts: { total: 10, completed: 10 } });
    expect(await left(big, large)).toBeGreaterThan(10_000);
  }
  await big.batches.cancel(large);
  expect((await ended(big, large)).status).toBe('cancelled');
});

test('thirty batches of one tenant do not hold up the second shard of another', async () => {
  const [many, one] = [await clientFor('many'), await clientFor('one')];
  const ids: string[] = [];
  for (let i = 0; i < 30; i++) ids.push(await submit(many, items(600)));
  await expect.poll(() => left(many, ids[0] ?? ''), { timeout: 60_000 }).toBeLessThan(600);
  const batch = await ended(one, await submit(one, items(1_200)));
  expect(batch.status).toBe('completed');
  const open = await Promise.all(ids.map((id) => left(many, id)));
  // A half for each: of the 18,000 about as many are done as of the 1,200, and what was done before.
  expect(open.reduce((sum, n) => sum + n, 0)).toBeGreaterThan(9_000);
  // Those that have ended meanwhile refuse.
  await Promise.allSettled(ids.map((id) => many.batches.cancel(id)));
});
