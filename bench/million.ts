import type { BenchOptions } from './main.ts';
import { throughput } from './overhead.ts';

/**
 * A batch of a million items from its creation to its end, with an engine that answers at once, on Redis and a file bucket.
 * `peak_rss_mb` is the most memory any process had: API, control worker or infer worker.
 */
export async function run(options: BenchOptions): Promise<Record<string, number>> {
  const items = options.items ?? (options.quick ? 50_000 : 1_000_000);
  const { items_per_s, ...mb } = await throughput(items);
  return { items_per_s, peak_rss_mb: Math.max(...Object.values(mb)), items, ...mb };
}
