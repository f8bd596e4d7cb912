import { parseArgs } from 'node:util';
import { startRig } from './rig.ts';
import { runChaos } from './run.ts';

/**
 * `npm run chaos -- --faults 200 --seed 7`: breaks the running product at random and says what came of it. Ends with 1 if anything
 * was lost, doubled, wrong or left behind.
 */
const { values } = parseArgs({
  options: {
    faults: { type: 'string', default: '50' },
    items: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    queue: { type: 'string', default: 'redis' },
    bucket: { type: 'string', default: 's3' },
    only: { type: 'string' },
    poison: { type: 'string', default: '0' },
  },
});
const faults = Number(values.faults);
const items = Number(values.items ?? faults * 500);
const seed = Number(values.seed);
const queue = values.queue === 'postgres' ? 'postgres' : 'redis';
const bucket = values.bucket === 'disk' ? 'disk' : 's3';
process.stderr.write(`seed ${seed}: ${faults} faults over ${items} items on ${queue} and ${bucket}\n`);
const poison = new Set(
  Array.from({ length: Number(values.poison) }, (_, i) => Math.floor(((i + 0.5) * items) / Number(values.poison))),
);
const rig = await startRig({ queue, bucket });
try {
  const figures = await runChaos(rig, {
    seed,
    faults,
    items,
    batchItems: Math.max(500, Math.ceil(items / 50)),
    poison,
    ...(values.only === undefined ? {} : { only: values.only }),
    log: (line) => process.stderr.write(`${line}\n`),
  });
  const { lost, doubled, wrong, orphans } = figures;
  for (const what of [...wrong, ...orphans].slice(0, 50)) process.stderr.write(`${what}\n`);
  process.stdout.write(
    `${JSON.stringify({ seed, faults: figures.faults, lost: lost.length, doubled: doubled.length, wrong: wrong.length, orphans: orphans.length, repeated: Number(figures.repeated.toFixed(4)), seconds: figures.seconds })}\n`,
  );
  if (lost.length + doubled.length + wrong.length + orphans.length > 0) process.exitCode = 1;
} finally {
  await rig.stop();
}
