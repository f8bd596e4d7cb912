import { startRig } from '../test/chaos/rig.ts';
import { runChaos } from '../test/chaos/run.ts';
import type { BenchOptions } from './main.ts';

/**
 * Random faults over a number of items, on Redis and an S3 server, with two control and two infer workers and an engine that
 * answers after a fixed time: processes killed, stopped and silenced, the queue wiped, its server and the S3 server killed,
 * hanging, slow, refusing, clocks put off, jobs repeated. `lost` and `doubled`: items without a line, or with more than one;
 * `wrong`: counts, usage, order and answers that are not what they must be, and objects that nothing needs after the sweep;
 * `repeated`: engine calls beyond one per item, of all items. Seed 7.
 */
export async function run(options: BenchOptions): Promise<Record<string, number>> {
  const items = options.items ?? (options.quick ? 5_000 : 100_000);
  const rig = await startRig({ queue: 'redis', bucket: 's3', answerMs: 40 });
  try {
    const figures = await runChaos(rig, {
      seed: 7,
      faults: options.quick ? 10 : 200,
      items,
      batchItems: Math.max(500, items / 50),
      log: (line) => process.stderr.write(`${line}\n`),
    });
    for (const what of [...figures.wrong, ...figures.orphans]) process.stderr.write(`${what}\n`);
    return {
      faults: figures.faults,
      lost: figures.lost.length,
      doubled: figures.doubled.length,
      wrong: figures.wrong.length + figures.orphans.length,
      repeated: Number(figures.repeated.toFixed(4)),
      items,
      seconds: figures.seconds,
    };
  } finally {
    await rig.stop();
  }
}
