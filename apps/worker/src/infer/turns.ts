import { type Claim, FairOrder } from './fair-order.ts';

/**
 * Admits items to preparation and to the engine's queue: at most `limit` at a time, so that no more media is held in
 * memory than the slots can soon use. Who goes next is `FairOrder`'s.
 */
export class Turns {
  readonly limit: number;
  #taken = 0;
  readonly #waiting: FairOrder<() => void>;

  constructor(limit: number, order = new FairOrder<() => void>()) {
    this.limit = limit;
    this.#waiting = order;
  }

  /** Waits for a turn; the function it gives hands the turn on. Rejects with the signal's reason. */
  take(claim: Claim, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#taken < this.limit) {
      this.#waiting.hold(claim);
      return Promise.resolve(this.#hand(claim));
    }
    return new Promise((resolve, reject) => {
      const start = () => {
        signal.removeEventListener('abort', onAbort);
        resolve(this.#hand(claim));
      };
      const onAbort = () => {
        this.#waiting.remove(claim, start);
        reject(signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(claim, start);
    });
  }

  #hand(claim: Claim): () => void {
    this.#taken++;
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#taken--;
      this.#waiting.release(claim);
      this.#waiting.next()?.();
    };
  }
}
