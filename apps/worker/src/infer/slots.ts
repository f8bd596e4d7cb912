import { type Claim, FairOrder } from './fair-order.ts';

/**
 * Places at the engine. `run` takes one of `size` places; `runAlone` waits until nobody else has one and keeps everybody
 * out until it is done: how a suspect of killing the engine is tried again without taking others down with it. Suspects go
 * first, as they come: until they are cleared, everybody else is at risk. Of the others `FairOrder` says who is next.
 */
export class Slots {
  readonly size: number;
  #busy = 0;
  #alone = false;
  readonly #suspects: (() => void)[] = [];
  readonly #others = new FairOrder<() => void>();

  constructor(size: number) {
    this.size = size;
  }

  get busy(): number {
    return this.#busy;
  }

  get waiting(): number {
    return this.#suspects.length + this.#others.size;
  }

  async run<T>(claim: Claim, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    await this.#wait(
      signal,
      (start) => this.#others.add(claim, start),
      (start) => this.#others.remove(claim, start),
    );
    try {
      return await work();
    } finally {
      this.#busy--;
      this.#others.release(claim);
      this.#next();
    }
  }

  async runAlone<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    await this.#wait(
      signal,
      (start) => this.#suspects.push(start),
      (start) => this.#suspects.splice(this.#suspects.indexOf(start), 1),
    );
    try {
      return await work();
    } finally {
      this.#busy--;
      this.#alone = false;
      this.#next();
    }
  }

  #wait(signal: AbortSignal, add: (start: () => void) => void, remove: (start: () => void) => void): Promise<void> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        remove(start);
        reject(signal.reason);
        this.#next();
      };
      const start = () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      signal.addEventListener('abort', onAbort, { once: true });
      add(start);
      this.#next();
    });
  }

  #next(): void {
    while (!this.#alone && this.#busy < this.size) {
      const [suspect] = this.#suspects;
      if (suspect !== undefined) {
        if (this.#busy > 0) return;
        this.#suspects.shift();
        this.#alone = true;
      }
      const start = suspect ?? this.#others.next();
      if (start === undefined) return;
      this.#busy++;
      start();
    }
  }
}
