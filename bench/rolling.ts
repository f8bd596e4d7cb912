import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import { checkBatch } from '../test/chaos/check.ts';
import { startRig } from '../test/chaos/rig.ts';
import { askedOf, submit } from '../test/chaos/run.ts';
import type { BenchOptions } from './main.ts';

/**
 * A rolling restart under load: a batch runs on two control and two infer workers while every process, the API too, is ended
 * with SIGTERM and started again, one after the other. `slowdown`: how much longer that takes than the same batch left in
 * peace; `lost` and `doubled`: items without a line, or with more than one; `failed_stops`: processes that did not end with 0.
 * The engine answers after a fixed time, so that what is measured is who waits, not who computes.
 */
export async function run(options: BenchOptions): Promise<Record<string, number>> {
  const items = options.items ?? (options.quick ? 6_000 : 20_000);
  const rig = await startRig({ queue: 'redis', bucket: 'disk', answerMs: 50 });
  const client = new OpenAI({ baseURL: `${rig.url}/v1`, apiKey: 'none', maxRetries: 10 });
  const timed = async (first: number, meanwhile: () => Promise<void>) => {
    const start = performance.now();
    const id = await submit(client, first, items);
    const other = meanwhile();
    let batch = await client.batches.retrieve(id);
    for (; batch.status !== 'completed'; batch = await client.batches.retrieve(id)) await sleep(100);
    const seconds = (performance.now() - start) / 1000;
    await other;
    process.stderr.write(`${items} items in ${seconds.toFixed(1)} s\n`);
    return { seconds, ...(await checkBatch(client, batch, askedOf(first, items))) };
  };
  let failedStops = 0;
  const restartAll = async () => {
    await sleep(2_000);
    for (const { name, service } of rig.members) {
      const start = performance.now();
      if ((await service.end()) !== 0) failedStops++;
      const ended = performance.now();
      await service.start();
      process.stderr.write(
        `${name}: ended after ${((ended - start) / 1000).toFixed(1)} s, up after ${((performance.now() - start) / 1000).toFixed(1)} s\n`,
      );
    }
  };
  try {
    // Once before it counts, so that both find everything warm.
    await timed(2 * items, async () => {});
    const still = await timed(0, async () => {});
    const rolling = await timed(items, restartAll);
    for (const what of [...still.wrong, ...rolling.wrong]) process.stderr.write(`${what}\n`);
    return {
      slowdown: Number((rolling.seconds / still.seconds - 1).toFixed(3)),
      lost: still.lost.length + rolling.lost.length,
      doubled: still.doubled.length + rolling.doubled.length,
      wrong: still.wrong.length + rolling.wrong.length,
      failed_stops: failedStops,
      still_s: Math.round(still.seconds),
      rolling_s: Math.round(rolling.seconds),
    };
  } finally {
    await rig.stop();
  }
}
