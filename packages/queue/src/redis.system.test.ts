import { Redis } from 'ioredis';
import { afterAll, beforeAll } from 'vitest';
import { startRedis } from '../../../test/servers/redis.ts';
import { queueConformance } from './conformance.ts';
import { rateConformance } from './conformance-rate.ts';
import { openQueues } from './open.ts';
import { openRateLimit } from './rate.ts';

let redis: Awaited<ReturnType<typeof startRedis>>;

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

queueConformance(
  'Redis',
  () => openQueues(redis.url),
  async () => {
    const client = new Redis(redis.url);
    await client.flushall();
    await client.quit();
  },
);

rateConformance('Redis', () => openRateLimit(redis.url), { shared: true });
