import { EngineError } from './port.ts';

export interface Call {
  /** What it begins with, to find the slot that has most of that in its cache. */
  prompt: string;
  /** It is more than one request to the engine, and nobody may use its slot in between. */
  keepsSlot: boolean;
}

interface Waiting {
  call: Call;
  start: (slot: number | null) => void;
  signal: AbortSignal;
  leave: () => void;
}

/**
 * Lets a number of calls run side by side; others wait in the order they came.
 *
 * As long as no call must keep its slot, the engine chooses: then there may be some calls more than slots, which wait inside
 * the engine. From the first call on that must, until nothing runs any more, each call is given a slot, its own to the end.
 */
export class Slots {
  readonly #count: number;
  readonly #ahead: number;
  readonly #waiting: Waiting[] = [];
  #running = 0;
  #giving = false;
  /** Slots not given to anyone, the one that was given back first in front; and the prompt each had last. */
  readonly #free: { slot: number; prompt: string }[];

  /** @param ahead how many calls may wait inside the engine. */
  constructor(count: number, ahead: number) {
    this.#count = count;
    this.#ahead = ahead;
    this.#free = Array.from({ length: count }, (_, slot) => ({ slot, prompt: '' }));
  }

  /**
   * @param work is told its slot, or null where the engine chooses.
   * @throws EngineError `aborted` when the signal fires before there is room; what `work` throws otherwise.
   */
  async run<T>(call: Call, signal: AbortSignal, work: (slot: number | null) => Promise<T>): Promise<T> {
    const slot = await this.#enter(call, signal);
    try {
      return await work(slot);
    } finally {
      if (slot !== null) this.#free.push({ slot, prompt: call.prompt });
      this.#running -= 1;
      if (this.#running === 0) this.#giving = false;
      this.#admit();
    }
  }

  #enter(call: Call, signal: AbortSignal): Promise<number | null> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(aborted(signal));
      const waiting: Waiting = {
        call,
        start: resolve,
        signal,
        leave: () => {
          this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
          reject(aborted(signal));
          this.#admit();
        },
      };
      this.#waiting.push(waiting);
      signal.addEventListener('abort', waiting.leave, { once: true });
      this.#admit();
    });
  }

  /** Lets in who may run now. */
  #admit(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const giving = this.#giving || next.call.keepsSlot;
      if (this.#running >= this.#count + (giving ? 0 : this.#ahead)) return;
      this.#giving = giving;
      this.#running += 1;
      this.#waiting.shift();
      next.signal.removeEventListener('abort', next.leave);
      next.start(giving ? this.#take(next.call.prompt) : null);
    }
  }

  /** The free slot whose last prompt begins most like this one; of equals the one free for longest. */
  #take(prompt: string): number {
    let best = 0;
    let longest = -1;
    this.#free.forEach((free, index) => {
      const length = commonStart(free.prompt, prompt);
      if (length > longest) {
        longest = length;
        best = index;
      }
    });
    const [taken] = this.#free.splice(best, 1);
    if (taken === undefined) throw new EngineError('engine_failed', 'There is no free slot');
    return taken.slot;
  }
}

function commonStart(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a.charCodeAt(length) === b.charCodeAt(length)) length += 1;
  return length;
}

export function aborted(signal: AbortSignal): EngineError {
  return new EngineError('aborted', 'The request was cancelled', signal.reason);
}
