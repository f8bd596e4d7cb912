/**
 * Admits items to preparation and to the engine's queue: at most `limit` at a time, so that no more media is held in
 * memory than the slots can soon use. Batches take turns, so a batch of ten is not stuck behind one of a hundred
 * thousand; within a batch it is first come, first served.
 */
export class Turns {
  readonly limit: number;
  #taken = 0;
  /** Waiting items per batch; the batch whose turn is next comes first. */
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Waits for a turn; the function it gives hands the turn on. Rejects with the signal's reason. */
  take(batch: string, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#taken < this.limit) return Promise.resolve(this.#hand());
    return new Promise((resolve, reject) => {
      const start = () => {
        signal.removeEventListener('abort', onAbort);
        resolve(this.#hand());
      };
      const onAbort = () => {
        const queue = this.#waiting.get(batch);
        queue?.splice(queue.indexOf(start), 1);
        if (queue?.length === 0) this.#waiting.delete(batch);
        reject(signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      const queue = this.#waiting.get(batch);
      if (queue === undefined) this.#waiting.set(batch, [start]);
      else queue.push(start);
    });
  }

  #hand(): () => void {
    this.#taken++;
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#taken--;
      this.#next();
    };
  }

  #next(): void {
    const first = this.#waiting.entries().next().value;
    if (first === undefined) return;
    const [batch, queue] = first;
    const start = queue.shift();
    // To the back of the round.
    this.#waiting.delete(batch);
    if (queue.length > 0) this.#waiting.set(batch, queue);
    start?.();
  }
}
