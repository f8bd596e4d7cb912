import type { Bucket } from '@batchmill/bucket';
import type { Lane } from '@batchmill/queue';
import { kindOf, SpeedBook, type Speeds } from './speeds.ts';
import { type Demand, type Scaling, workersWanted } from './wanted.ts';
import { type LaneWork, WorkBook } from './work.ts';

/** What a scaler is told of a lane, or of both. */
export interface Signal {
  workersWanted: number;
  /** Infer workers that are there; `null` if the queue does not say. */
  workers: number | null;
  batches: number;
  items: number;
  /** Estimated. */
  tokens: number;
  pages: number;
  audioSeconds: number;
  /** Seconds that one worker would take. */
  workSeconds: number;
  /** Unix seconds; `null`: no work. */
  earliestDeadline: number | null;
}

export interface SignalOptions {
  bucket: Bucket;
  /** Infer workers connected to the queue, by lane. */
  workers(): Promise<Record<Lane, number>>;
  /** The model that is served: speeds of others do not count. `null`: any. */
  model: string | null;
  scaling: Scaling;
  /** What was read is shown for at least so long. Default 5 s. */
  reuseMs?: number;
}

export interface Signals {
  /** Batches that have not ended. */
  open: number;
  /** Whether speeds were measured, or guessed. */
  measured: boolean;
  speeds: Speeds;
  lanes: Record<Lane | 'all', Signal>;
}

/**
 * The scaling signal, from the facts of the bucket. What was read is shown for some seconds, and for ten times as long as reading it took:
 * many open batches make it older, not the bucket busier.
 */
export class ScalingSignal {
  readonly #options: SignalOptions;
  readonly #work: WorkBook;
  readonly #speeds: SpeedBook;
  #last: { until: number; signals: Promise<Signals> } | null = null;

  constructor(options: SignalOptions) {
    this.#options = options;
    this.#work = new WorkBook(options.bucket);
    this.#speeds = new SpeedBook(options.bucket, options.model);
  }

  get scaling(): Scaling {
    return this.#options.scaling;
  }

  /** @throws the bucket's error, if it is away: a scaler then keeps what it has. */
  read(): Promise<Signals> {
    if (this.#last !== null && performance.now() < this.#last.until) return this.#last.signals;
    const start = performance.now();
    const signals = this.#read();
    // Until it is read, whoever asks waits for the same.
    const last = { until: Number.POSITIVE_INFINITY, signals };
    this.#last = last;
    signals.then(
      () => {
        const now = performance.now();
        last.until = now + Math.max(this.#options.reuseMs ?? 5_000, 10 * (now - start));
      },
      () => {
        last.until = 0;
      },
    );
    return signals;
  }

  async #read(): Promise<Signals> {
    const [{ open, work }, speeds, workers] = await Promise.all([
      this.#work.read(),
      this.#speeds.read(),
      this.#options.workers().catch(() => null),
    ]);
    const now = Date.now() / 1000;
    const of = (lane: Lane | 'all') => {
      const own = work.filter((one) => lane === 'all' || one.lane === lane);
      const running = workers === null ? null : lane === 'all' ? Math.max(...Object.values(workers)) : workers[lane];
      return signalOf(own, speeds, running, now, this.#options.scaling);
    };
    return {
      open,
      measured: speeds.measured,
      speeds,
      lanes: { text: of('text'), media: of('media'), all: of('all') },
    };
  }
}

/** The signal of some work. `now`: Unix seconds. */
export function signalOf(
  work: readonly LaneWork[],
  speeds: Speeds,
  workers: number | null,
  now: number,
  scaling: Scaling,
): Signal {
  const demands: Demand[] = work.map(({ lane, endpoint, tokens, shards, since, deadline }) => ({
    workSeconds: tokens / speeds.of(kindOf(lane, endpoint)),
    shards,
    since,
    deadline,
  }));
  const sum = (count: (one: LaneWork) => number) => Math.round(work.reduce((total, one) => total + count(one), 0));
  return {
    workersWanted: workersWanted(demands, workers ?? 0, now, scaling),
    workers,
    batches: new Set(work.map(({ batchId }) => batchId)).size,
    items: sum(({ items }) => items),
    tokens: sum(({ tokens }) => tokens),
    pages: sum(({ pages }) => pages),
    audioSeconds: sum(({ audioSeconds }) => audioSeconds),
    workSeconds: Math.round(demands.reduce((total, { workSeconds }) => total + workSeconds, 0)),
    earliestDeadline: work.length === 0 ? null : Math.min(...work.map(({ deadline }) => deadline)),
  };
}
