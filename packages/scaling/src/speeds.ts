import { type Bucket, layout } from '@batchmill/bucket';
import type { Lane } from '@batchmill/queue';
import { z } from 'zod';

/**
 * How fast workers are, as they measured it themselves. It is kept in the bucket, so that it is known while no worker runs. Work is
 * counted in the planner's estimated tokens, also here: where the estimate is wrong for a kind of work, the speed is wrong by
 * the same factor, and the time that comes out is right.
 */
export const SpeedFact = z.object({
  /** Unix milliseconds. */
  at: z.number(),
  model: z.string(),
  slots: z.number().int().positive(),
  /** By kind of work. */
  kinds: z.record(
    z.string(),
    z.object({
      items: z.number(),
      /** Estimated tokens of the items that were finished. */
      tokens: z.number(),
      /** Time that slots were at it. */
      slotSeconds: z.number(),
    }),
  ),
});
export type SpeedFact = z.infer<typeof SpeedFact>;

/** Tasks differ in how good the estimate is, so each has a speed of its own in each lane. */
export function kindOf(lane: Lane, endpoint: string): string {
  return `${lane} ${endpoint}`;
}

export async function writeSpeed(bucket: Bucket, fact: SpeedFact, writer: string, sequence: number): Promise<void> {
  await bucket.put(layout.speed({ at: fact.at, writer, sequence }), JSON.stringify(fact));
}

/** Facts that are kept, and of those the ones that are read. */
const KEPT = 500;
const READ = 60;
/** The latest this many seconds of slots say how fast a kind of work is. */
const ENOUGH_SECONDS = 1_200;
/** Tokens a second of a worker, as long as nobody has measured any: that of a small model on a few CPU cores. */
export const UNMEASURED = 100;

export interface Speeds {
  /** Whether anybody has measured anything of this model. */
  measured: boolean;
  /** Whether this kind of work was measured. Else `of` takes the speed at all work, or guesses. */
  knows(kind: string): boolean;
  /** Estimated tokens a second that one worker does of a kind of work, all its slots at it. */
  of(kind: string): number;
}

/** Reads what workers measured; what was read once is not read again. */
export class SpeedBook {
  readonly #bucket: Bucket;
  readonly #model: string | null;
  #known = new Map<string, SpeedFact | null>();

  /** @param model whose speeds count; `null`: of any. */
  constructor(bucket: Bucket, model: string | null) {
    this.#bucket = bucket;
    this.#model = model;
  }

  async read(): Promise<Speeds> {
    const known = new Map<string, SpeedFact | null>();
    for await (const { key } of this.#bucket.list(layout.speedPrefix)) {
      known.set(key, this.#known.get(key) ?? (await this.#fact(key)));
      if (known.size >= READ) break;
    }
    this.#known = known;
    return speedsOf(
      [...known.values()].filter((fact) => fact !== null && this.#counts(fact)).filter((f) => f !== null),
    );
  }

  #counts({ model }: SpeedFact): boolean {
    return this.#model === null || model === this.#model;
  }

  async #fact(key: string): Promise<SpeedFact | null> {
    const bytes = await this.#bucket.get(key);
    if (bytes === null) return null;
    const parsed = SpeedFact.safeParse(JSON.parse(Buffer.from(bytes).toString('utf8')));
    return parsed.success ? parsed.data : null;
  }
}

/** @param facts the newest first. */
export function speedsOf(facts: readonly SpeedFact[]): Speeds {
  const sums = new Map<string, { rate: number; seconds: number }>();
  const add = (kind: string, tokens: number, slotSeconds: number, slots: number) => {
    const sum = sums.get(kind) ?? { rate: 0, seconds: 0 };
    if (sum.seconds >= ENOUGH_SECONDS) return;
    // Workers may have different numbers of slots: each counts with its own.
    sum.rate += tokens * slots;
    sum.seconds += slotSeconds;
    sums.set(kind, sum);
  };
  for (const { slots, kinds } of facts)
    for (const [kind, { tokens, slotSeconds }] of Object.entries(kinds)) {
      add(kind, tokens, slotSeconds, slots);
      add('', tokens, slotSeconds, slots);
    }
  const speed = (kind: string): number | null => {
    const sum = sums.get(kind);
    // One long item may have cost much time and be far from done: that says nothing yet.
    return sum === undefined || sum.seconds <= 0 || sum.rate <= 0 ? null : sum.rate / sum.seconds;
  };
  return {
    measured: speed('') !== null,
    knows: (kind) => speed(kind) !== null,
    of: (kind) => speed(kind) ?? speed('') ?? UNMEASURED,
  };
}

/** Deletes what is too old to be read. Run by the sweep. */
export async function sweepSpeeds(bucket: Bucket, kept = KEPT): Promise<void> {
  let seen = 0;
  for await (const { key } of bucket.list(layout.speedPrefix)) if (++seen > kept) await bucket.delete(key);
}
