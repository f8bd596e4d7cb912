import { openBucket } from '@batchmill/bucket';
import { createKey } from '@batchmill/keys';
import type OpenAI from 'openai';
import type { BenchOptions } from './main.ts';
import { clientOf, completed, createBatch, type FastStack, upload, watch, withStack } from './stack.ts';

/** 16 slots of 50 ms: the engine is what everybody waits for, 320 items a second. */
const ENV = { BENCH_ITEM_MS: '50', BENCH_SLOTS: '16' };
const SMALL = 10;

/**
 * A tenant with ten items beside one with a million: `alone_s` is how long a batch of ten takes on an idle service, from the
 * create call to `completed`, `beside_s` the same while the million are at work; medians of `rounds`.
 */
export function run(options: BenchOptions): Promise<Record<string, number>> {
  const large = options.items ?? (options.quick ? 20_000 : 1_000_000);
  const rounds = options.quick ? 5 : 15;
  return withStack(ENV, async (stack) => {
    const [small, big] = [await clientFor(stack, 'small'), await clientFor(stack, 'big')];
    const few = await upload(small, stack.folder, SMALL);
    const many = await upload(big, stack.folder, large);
    await medianOf(small, few, 3);
    const alone = await medianOf(small, few, rounds);
    const id = await createBatch(big, many);
    await watch(big, id, (done) => done > 0);
    const beside = await medianOf(small, few, rounds);
    const { request_counts } = await big.batches.retrieve(id);
    const left = large - (request_counts?.completed ?? 0);
    if (left === 0) throw new Error('the large batch was done before the small ones');
    await big.batches.cancel(id);
    return {
      alone_s: Number(alone.toFixed(3)),
      beside_s: Number(beside.toFixed(3)),
      ratio: Number((beside / alone).toFixed(2)),
      left,
    };
  });
}

async function clientFor(stack: FastStack, tenant: string): Promise<OpenAI> {
  const bucket = await openBucket(stack.bucketUrl);
  const { key } = await createKey(bucket, { tenant, name: 'bench' });
  await bucket.close();
  return clientOf(stack, key);
}

/** Seconds. */
async function medianOf(client: OpenAI, file: string, rounds: number): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    await completed(client, await createBatch(client, file), SMALL, { everyMs: 5 });
    times.push((performance.now() - start) / 1000);
  }
  times.sort((a, b) => a - b);
  process.stderr.write(`${times.map((t) => t.toFixed(3)).join(' ')}\n`);
  return times[Math.floor(times.length / 2)] ?? 0;
}
