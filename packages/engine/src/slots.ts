import { EngineError } from './port.ts';

interface Waiting {
  start: () => void;
  signal: AbortSignal;
  leave: () => void;
}

/** Lets a fixed number of calls run side by side; others wait in the order they came. */
export class Slots {
  #free: number;
  readonly #waiting: Waiting[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** @throws EngineError `aborted` when the signal fires before a slot is free; what `work` throws otherwise. */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#take(signal);
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) {
        this.#free += 1;
      } else {
        next.signal.removeEventListener('abort', next.leave);
        next.start();
      }
    }
  }

  async #take(signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw aborted(signal);
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const waiting: Waiting = {
        start: resolve,
        signal,
        leave: () => {
          this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
          reject(aborted(signal));
        },
      };
      this.#waiting.push(waiting);
      signal.addEventListener('abort', waiting.leave, { once: true });
    });
  }
}

export function aborted(signal: AbortSignal): EngineError {
  return new EngineError('aborted', 'The request was cancelled', signal.reason);
}
