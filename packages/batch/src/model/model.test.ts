import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { openBucket } from '@batchmill/bucket';
import fc from 'fast-check';
import { test } from 'vitest';
import type { CrashPoint } from './test-crash.ts';
import { Run } from './test-run.ts';

/**
 * The state machine of a batch, on the code that runs it and a real bucket: created, planned, run, crashed at any call to the
 * bucket, cancelled, expired, retried, deleted, its jobs lost, repeated and late, in any order. What must hold stands in `Run`.
 */
/** It looks around for so long. `MODEL_SECONDS=600` looks longer. */
const SECONDS = Number(process.env.MODEL_SECONDS ?? 6);

/** Nothing here is about power cuts: where there is one, a file system in memory makes ten runs of one. */
const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

interface Model {
  created: boolean;
  expired: boolean;
}

class Step implements fc.AsyncCommand<Model, Run> {
  readonly #name: string;
  readonly #possible: (model: Model) => boolean;
  readonly #does: (run: Run, model: Model) => Promise<void>;

  constructor(name: string, possible: (model: Model) => boolean, does: (run: Run, model: Model) => Promise<void>) {
    this.#name = name;
    this.#possible = possible;
    this.#does = does;
  }

  check(model: Readonly<Model>): boolean {
    return this.#possible(model);
  }

  async run(model: Model, run: Run): Promise<void> {
    await this.#does(run, model);
    await run.check();
    model.created = run.created;
  }

  toString(): string {
    return this.#name;
  }
}

const crash: fc.Arbitrary<CrashPoint | null> = fc.option(
  fc.record({ calls: fc.integer({ min: 1, max: 24 }), applied: fc.boolean() }),
  { freq: 2 },
);
const said = (crash: CrashPoint | null) =>
  crash === null ? '' : ` and dies at call ${crash.calls}${crash.applied ? ', which still counts' : ''}`;
const once = ({ created }: Model) => created;
const pick = fc.nat(7);

const steps: fc.Arbitrary<fc.AsyncCommand<Model, Run>>[] = [
  crash.map(
    (c) =>
      new Step(
        `create${said(c)}`,
        ({ created }) => !created,
        (run) => run.create(c),
      ),
  ),
  crash.map(
    (c) =>
      new Step(
        `reconcile${said(c)}`,
        () => true,
        (run) => run.reconcile(c),
      ),
  ),
  fc
    .tuple(crash, crash)
    .map(([a, b]) => new Step(`reconcile${said(a)}, beside it another${said(b)}`, once, (run) => run.reconcile(a, b))),
  fc
    .tuple(pick, fc.boolean())
    .map(([n, again]) => new Step(`take ${again ? 'again ' : ''}${n}`, once, (run) => run.take(n, again))),
  fc
    .tuple(pick, fc.boolean(), fc.integer({ min: 0, max: 30 }), crash)
    .map(
      ([n, all, share, c]) =>
        new Step(`hand in ${all ? 'all' : share} of ${n}${said(c)}`, once, (run) => run.handIn(n, all, share, c)),
    ),
  crash.map((c) => new Step(`cancel${said(c)}`, once, (run) => run.cancel(c))),
  fc.constant(
    new Step(
      'expire',
      ({ created, expired }) => created && !expired,
      async (run, model) => {
        model.expired = true;
        await run.expire();
      },
    ),
  ),
  crash.map((c) => new Step(`retry${said(c)}`, once, (run) => run.retry(c))),
  fc.constant(new Step('wipe the queue', once, async (run) => run.wipe())),
  fc.constant(
    new Step(
      'sweep',
      () => true,
      (run) => run.sweep(),
    ),
  ),
];

/** What happens most: a batch that is cancelled at once says little of the rest. */
const ordinary = steps.slice(0, 5);

test(
  'whatever happens to a batch, and wherever its processes die, each item has one line, and nothing stays behind',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.commands([...steps, ...ordinary, ...ordinary], { maxCommands: 40, size: 'max' }),
        fc.integer({ min: 1, max: 110 }),
        fc.integer({ min: 2, max: 9 }),
        crash,
        async (commands, items, every, atLast) => {
          const folder = await mkdtemp(join(MEMORY, 'batchmill-model-'));
          const bucket = await openBucket(pathToFileURL(folder).href);
          try {
            const run = new Run(bucket, items, (position) => position % every === 1);
            await fc.asyncModelRun(() => ({ model: { created: false, expired: false }, real: run }), commands);
            await run.recover();
            await run.remove(atLast);
          } finally {
            await bucket.close();
            await rm(folder, { recursive: true, force: true });
          }
        },
      ),
      { numRuns: SECONDS * 100, interruptAfterTimeLimit: SECONDS * 1_000 },
    );
  },
  120_000 + SECONDS * 1_000,
);
