/**
 * Counts the time an item is being worked on, and calls `onLimit` when it is more than it may be. While pieces of the item
 * are under way, or wait for their turn, it stands still: each piece has a clock of its own, so that a document of
 * hours is never too slow as long as its pages are not.
 */
export class Clock {
  readonly #limitMs: number;
  readonly #onLimit: () => void;
  #timer: NodeJS.Timeout | null = null;
  #held = 0;
  #ended = false;

  constructor(limitMs: number, onLimit: () => void) {
    this.#limitMs = limitMs;
    this.#onLimit = onLimit;
    this.#start();
  }

  /** Stands still until as many `release`s have come; then the time begins anew. */
  hold(): void {
    this.#held++;
    this.#stop();
  }

  release(): void {
    this.#held--;
    if (this.#held === 0 && !this.#ended) this.#start();
  }

  end(): void {
    this.#ended = true;
    this.#stop();
  }

  #start(): void {
    this.#timer = setTimeout(this.#onLimit, this.#limitMs);
  }

  #stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}

/**
 * A signal of its own for one piece of work: fires with `outer`, or with `tooLong()` after `limitMs`. By hand, not by
 * AbortSignal.timeout and AbortSignal.any: those live on until the time is over, for a million items too.
 */
export async function within<T>(
  limitMs: number,
  outer: AbortSignal,
  tooLong: () => Error,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  outer.throwIfAborted();
  const stop = new AbortController();
  const onOuter = () => stop.abort(outer.reason);
  outer.addEventListener('abort', onOuter, { once: true });
  const clock = new Clock(limitMs, () => stop.abort(tooLong()));
  try {
    return await work(stop.signal);
  } catch (error) {
    // Whatever the work made of being stopped, the reason is what happened.
    stop.signal.throwIfAborted();
    throw error;
  } finally {
    clock.end();
    outer.removeEventListener('abort', onOuter);
  }
}
