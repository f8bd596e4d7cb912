/** What the start of a worker is made of, in order. */
export const START_STEPS = ['model_files', 'load', 'warm_up', 'first_item'] as const;
export type StartStep = (typeof START_STEPS)[number];

/**
 * How long each step of a start took: what an operator looks at who wants workers sooner. A step lasts from the end of the one
 * before it; the first counts from the start of the process. `first_item` includes the wait for work.
 */
export class StartTimes {
  readonly #now: () => number;
  readonly #seconds = new Map<StartStep, number>();
  #last = 0;

  /** @param now milliseconds since the process started */
  constructor(now: () => number = () => process.uptime() * 1000) {
    this.#now = now;
  }

  /** A step is over. Only its first time counts: an engine that is restarted is no start of the worker. */
  end(step: StartStep): void {
    if (this.#seconds.has(step)) return;
    const now = this.#now();
    this.#seconds.set(step, Math.round(now - this.#last) / 1000);
    this.#last = now;
  }

  /** Seconds by step, of those that are over, and their sum. */
  seconds(): Partial<Record<StartStep | 'total', number>> {
    return { ...Object.fromEntries(this.#seconds), total: Math.round(this.#last) / 1000 };
  }

  /** The first item is answered: all of it. */
  withFirstItem(): Partial<Record<StartStep | 'total', number>> {
    this.end('first_item');
    return this.seconds();
  }
}
