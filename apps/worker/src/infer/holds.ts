import type { StopSignals } from './run-shard.ts';

interface Hold {
  leave(): void;
  ended: Promise<void>;
}

/**
 * The shards a worker has at hand, each run once at a time. One whose job is lost (the queue was wiped, or this worker was
 * silent for so long that it counted as dead) is left: it takes no further items, the running ones may finish for a while,
 * and what is finished is written. One that the queue gives again while an earlier run of it is still at work begins when that
 * one has handed in what it has. So a queue that repeats itself repeats little of the work.
 */
export class Holds {
  readonly #worker: StopSignals;
  readonly #graceMs: number;
  readonly #held = new Map<string, Hold>();

  /** @param worker when the worker itself stops. @param graceMs how long running items may go on after a shard is lost. */
  constructor(worker: StopSignals, graceMs: number) {
    this.#worker = worker;
    this.#graceMs = graceMs;
  }

  /** `lost` fires when the job is not ours any more. */
  async run(shard: string, lost: AbortSignal, work: (stop: StopSignals) => Promise<void>): Promise<void> {
    for (let before = this.#held.get(shard); before !== undefined; before = this.#held.get(shard)) {
      before.leave();
      await before.ended;
    }
    const admit = new AbortController();
    const run = new AbortController();
    let grace: NodeJS.Timeout | undefined;
    const leave = () => admit.abort(new Error('the shard was given again'));
    const onLost = () => {
      admit.abort(new Error('the shard is not held any more'));
      grace ??= setTimeout(() => run.abort(new Error('the shard is not held any more')), this.#graceMs);
    };
    if (lost.aborted) onLost();
    lost.addEventListener('abort', onLost, { once: true });
    const ended = work({
      admit: AbortSignal.any([this.#worker.admit, admit.signal]),
      run: AbortSignal.any([this.#worker.run, run.signal]),
    });
    const hold = { leave, ended: ended.catch(() => {}) };
    this.#held.set(shard, hold);
    try {
      await ended;
    } finally {
      clearTimeout(grace);
      lost.removeEventListener('abort', onLost);
      this.#held.delete(shard);
    }
  }
}
