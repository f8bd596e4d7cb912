import { Redis } from 'ioredis';
import pg from 'pg';
import { z } from 'zod';
import type { BenchOptions } from './main.ts';
import { clientOf, completed, createBatch, type FastStack, upload, watch, withStack } from './stack.ts';

/** Four workers of 16 slots at 20 ms: 3,200 items a second. */
const ENV = { BENCH_WORKERS: '4', BENCH_SLOTS: '16', BENCH_ITEM_MS: '20' };

interface Figures {
  resume_s: number;
  repeated: number;
}

/**
 * The queue is wiped in the middle of a batch: `FLUSHALL` of Redis, `DROP SCHEMA` of PostgreSQL. `resume_s`: from then until
 * a worker begins with a shard that it was given thereafter. `repeated`: answers of the engine that were not needed, as a
 * share of the items. The larger figure of both servers counts.
 */
export async function run(options: BenchOptions): Promise<Record<string, number>> {
  const items = options.items ?? (options.quick ? 20_000 : 100_000);
  const redis = await withStack(ENV, (stack) => measure(stack, items, flush), 'redis');
  const postgres = await withStack(ENV, (stack) => measure(stack, items, drop), 'postgres');
  return {
    resume_s: Math.max(redis.resume_s, postgres.resume_s),
    repeated: Math.max(redis.repeated, postgres.repeated),
    redis_resume_s: redis.resume_s,
    redis_repeated: redis.repeated,
    postgres_resume_s: postgres.resume_s,
    postgres_repeated: postgres.repeated,
  };
}

async function flush(url: string): Promise<void> {
  const client = new Redis(url);
  await client.flushall();
  await client.quit();
}

async function drop(connectionString: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    for (;;) {
      try {
        await client.query('DROP SCHEMA bullmq CASCADE');
        return;
      } catch (error) {
        // Those at work hold locks on what is in it: PostgreSQL ends one of two that wait for each other, which may be us.
        if (!(error instanceof pg.DatabaseError && error.code === DEADLOCK)) throw error;
      }
    }
  } finally {
    await client.end();
  }
}

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const DEADLOCK = '40P01';

/** What a worker logs of a shard. */
const ShardDone = z.object({ time: z.iso.datetime(), msg: z.literal('shard done'), ms: z.number() });
/** What the workers say at the end. */
const Ended = z.object({ calls: z.number() });

async function measure(stack: FastStack, items: number, wipe: (url: string) => Promise<void>): Promise<Figures> {
  const client = clientOf(stack);
  const file = await upload(client, stack.folder, items);
  const id = await createBatch(client, file);
  await watch(client, id, (done) => done >= items / 2, { everyMs: 20 });
  const at = Date.now();
  await wipe(stack.queueUrl);
  await completed(client, id, items, { stack });
  await stack.infer.end();
  const begun = stack.infer.printed
    .split('\n')
    .flatMap((line) => {
      const done = line.startsWith('{') ? ShardDone.safeParse(JSON.parse(line)) : null;
      return done?.success ? [Date.parse(done.data.time) - done.data.ms] : [];
    })
    .filter((time) => time > at);
  const { calls } = Ended.parse(JSON.parse(stack.infer.stdout));
  return {
    resume_s: Number(((Math.min(...begun) - at) / 1000).toFixed(2)),
    repeated: Number(((calls - items) / items).toFixed(4)),
  };
}
