import { memoryOf } from '../test/servers/service.ts';
import type { BenchOptions } from './main.ts';
import { clientOf, completed, createBatch, upload, withStack } from './stack.ts';

/**
 * The product's own cost: an engine that answers at once, Redis and a file bucket, API, control and infer as processes.
 * `items_per_s` from the create call to `completed`; `peak_rss_mb` is the larger of API and control worker.
 */
export async function run(options: BenchOptions): Promise<Record<string, number>> {
  const items = options.items ?? (options.quick ? 5_000 : 50_000);
  const { api_mb, control_mb, ...figures } = await throughput(items);
  return { ...figures, peak_rss_mb: Math.max(api_mb, control_mb), items, api_mb, control_mb };
}

/** One batch of so many items from its creation to its end, and the most memory each process had. */
export function throughput(
  items: number,
): Promise<{ items_per_s: number; api_mb: number; control_mb: number; infer_mb: number }> {
  return withStack({}, async (stack) => {
    const client = clientOf(stack);
    const file = await upload(client, stack.folder, items);
    const start = performance.now();
    const id = await createBatch(client, file);
    await completed(client, id, items, { stack });
    const seconds = (performance.now() - start) / 1000;
    const peak = (pid: number) => Math.round(memoryOf(pid).peakMb);
    return {
      items_per_s: Math.round(items / seconds),
      api_mb: peak(stack.api.pid),
      control_mb: peak(stack.control.pid),
      infer_mb: peak(stack.infer.pid),
    };
  });
}
