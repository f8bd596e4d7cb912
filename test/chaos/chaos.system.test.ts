import { expect, test } from 'vitest';
import { type RigOptions, startRig } from './rig.ts';
import { runChaos } from './run.ts';

/** A short run of the chaos suite on each kind of ground; `npm run chaos` makes long ones. `CHAOS_SEED` is for other faults. */
const seed = Number(process.env.CHAOS_SEED ?? 7);

test.for<[queue: RigOptions['queue'], bucket: RigOptions['bucket'], faults: number]>([
  ['redis', 's3', 10],
  ['postgres', 'disk', 7],
])(
  'faults of every kind on %s and %s: one line per item, and nothing stays behind',
  async ([queue, bucket, faults]) => {
    const rig = await startRig({ queue, bucket });
    const said = [`seed ${seed}`];
    try {
      const { lost, doubled, wrong, orphans, repeated } = await runChaos(rig, {
        seed,
        faults,
        items: faults * 250,
        batchItems: 500,
        each: true,
        log: (line) => void said.push(line),
      });
      expect({ lost, doubled, wrong, orphans }, said.join('\n')).toEqual({
        lost: [],
        doubled: [],
        wrong: [],
        orphans: [],
      });
      expect(repeated).toBeLessThan(1);
    } catch (error) {
      process.stderr.write(`${said.join('\n')}\n`);
      throw error;
    } finally {
      await rig.stop();
    }
  },
);
