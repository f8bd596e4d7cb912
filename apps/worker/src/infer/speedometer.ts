import { randomBytes } from 'node:crypto';
import { type Estimate, estimate, type Item } from '@batchmill/batch';
import type { Bucket } from '@batchmill/bucket';
import type { Generation } from '@batchmill/engine';
import type { Lane } from '@batchmill/queue';
import { kindOf, type SpeedFact, writeSpeed } from '@batchmill/scaling';
import type { Logger } from '@batchmill/telemetry';

/** A worker writes down how fast it was this often. */
const EVERY_MS = 60_000;

/**
 * Measures how fast this worker is at each kind of work, and writes it to the bucket, where scaling and estimates find it, also
 * when no worker runs any more. Of a minute in which nothing was done nothing is written.
 */
export class Speedometer {
  readonly #bucket: Bucket;
  readonly #model: string;
  readonly #slots: number;
  readonly #log: Logger;
  readonly #writer = randomBytes(6).toString('hex');
  readonly #timer: NodeJS.Timeout;
  #sequence = 0;
  #kinds: SpeedFact['kinds'] = {};

  constructor(bucket: Bucket, engine: { model: string; slots: number }, log: Logger, everyMs = EVERY_MS) {
    this.#bucket = bucket;
    this.#model = engine.model;
    this.#slots = engine.slots;
    this.#log = log;
    this.#timer = setInterval(() => void this.#write(), everyMs).unref();
  }

  /** A call has kept a slot. `ms`: how long it took in all, for engines that do not say how long the slot was at it. */
  called(lane: Lane, item: Item, { pace }: Generation, ms: number): void {
    this.#of(lane, item).slotSeconds += (pace === undefined ? ms : pace.prefillMs + pace.decodeMs) / 1000;
  }

  /** An item has its result. */
  finished(lane: Lane, item: Item): void {
    const kind = this.#of(lane, item);
    const { tokens }: Estimate = estimate(item.url, item.body, item.lineBytes);
    kind.items++;
    kind.tokens += tokens;
  }

  /** Writes what is left. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    await this.#write();
  }

  #of(lane: Lane, item: Item): SpeedFact['kinds'][string] {
    const name = kindOf(lane, item.url);
    const kind = this.#kinds[name] ?? { items: 0, tokens: 0, slotSeconds: 0 };
    this.#kinds[name] = kind;
    return kind;
  }

  async #write(): Promise<void> {
    const kinds = this.#kinds;
    this.#kinds = {};
    // Items that never came to the engine say nothing of its speed.
    if (Object.values(kinds).every(({ slotSeconds }) => slotSeconds === 0)) return;
    const fact = { at: Date.now(), model: this.#model, slots: this.#slots, kinds };
    await writeSpeed(this.#bucket, fact, this.#writer, this.#sequence++).catch((err: unknown) => {
      this.#log.warn({ err }, 'the speed of this minute could not be written');
    });
  }
}
