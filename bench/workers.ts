import type { BenchOptions } from './main.ts';
import { clientOf, completed, createBatch, upload, withStack } from './stack.ts';

/** What one simulated worker can do: 16 slots of 100 ms are 160 items a second. */
const ITEM_MS = 100;
const SLOTS = 16;
const PER_WORKER = (SLOTS * 1_000) / ITEM_MS;

/**
 * Many infer workers on one control worker: each is the real one, with connections of its own, but its engine sleeps for
 * 100 ms an item, 16 side by side. `items_per_s_64`: one batch through 64 of them, from the create call to `completed`;
 * `efficiency_16`: the rate of 16 against sixteen times the rate of one. All workers, Redis, API and control worker share the
 * machine.
 */
export async function run(options: BenchOptions): Promise<Record<string, number>> {
  const seconds = options.quick ? 8 : 40;
  const rates: Record<number, number> = {};
  for (const workers of [1, 16, 64]) {
    // What 64 workers can do is more than two cores can: enough items for the time all the same.
    const items = Math.round((Math.min(workers, 40) * PER_WORKER * seconds) / 500) * 500;
    rates[workers] = await rateOf(workers, items);
    process.stderr.write(`${workers} workers: ${rates[workers]?.toFixed(0)} items/s\n`);
  }
  const [one = 0, sixteen = 0, all = 0] = [rates[1], rates[16], rates[64]];
  return {
    items_per_s_64: Math.round(all),
    efficiency_16: Number((sixteen / (16 * one)).toFixed(3)),
    items_per_s_1: Math.round(one),
    items_per_s_16: Math.round(sixteen),
  };
}

function rateOf(workers: number, items: number): Promise<number> {
  const env = { BENCH_WORKERS: String(workers), BENCH_ITEM_MS: String(ITEM_MS), BENCH_SLOTS: String(SLOTS) };
  return withStack(env, async (stack) => {
    const client = clientOf(stack);
    const file = await upload(client, stack.folder, items);
    const start = performance.now();
    const id = await createBatch(client, file);
    await completed(client, id, items);
    return items / ((performance.now() - start) / 1000);
  });
}
