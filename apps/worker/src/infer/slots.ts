/**
 * Places at the engine. `run` takes one of `size` places; `runAlone` waits until nobody else has one and keeps everybody
 * out until it is done: how a suspect of killing the engine is tried again without taking others down with it.
 * First come, first served, among those whose signal has not fired.
 */
export class Slots {
  readonly size: number;
  #busy = 0;
  #alone = false;
  readonly #queue: { alone: boolean; start: () => void }[] = [];

  constructor(size: number) {
    this.size = size;
  }

  get busy(): number {
    return this.#busy;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return this.#take(false, work, signal);
  }

  runAlone<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return this.#take(true, work, signal);
  }

  async #take<T>(alone: boolean, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    await this.#wait(alone, signal);
    try {
      return await work();
    } finally {
      this.#busy--;
      this.#alone = false;
      this.#next();
    }
  }

  #wait(alone: boolean, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#queue.splice(this.#queue.indexOf(entry), 1);
        reject(signal.reason);
        this.#next();
      };
      const entry = {
        alone,
        start: () => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      // The suspects go first: until they are cleared, everybody else is at risk.
      const firstShared = this.#queue.findIndex((e) => !e.alone);
      if (alone && firstShared !== -1) this.#queue.splice(firstShared, 0, entry);
      else this.#queue.push(entry);
      this.#next();
    });
  }

  #next(): void {
    for (let first = this.#queue[0]; first !== undefined; first = this.#queue[0]) {
      if (this.#alone || this.#busy >= this.size || (first.alone && this.#busy > 0)) return;
      this.#queue.shift();
      this.#busy++;
      this.#alone = first.alone;
      first.start();
    }
  }
}
