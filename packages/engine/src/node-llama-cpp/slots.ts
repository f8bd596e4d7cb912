import type { LlamaContext, LlamaContextSequence, Token } from 'node-llama-cpp';
import { EngineError } from '../port.ts';

/** A request's way to be stopped. The child hears of the caller's signal by message. */
export interface Job {
  aborted: boolean;
}

/**
 * The context's sequences: each runs one request at a time, the others wait in line. A request gets the free sequence that
 * already holds the most of its beginning.
 */
export class Slots {
  readonly #free: LlamaContextSequence[];
  readonly #waiting: (() => void)[] = [];

  constructor(context: LlamaContext, count: number) {
    this.#free = Array.from({ length: count }, () => context.getSequence());
  }

  /** @throws EngineError `aborted` when the job was stopped while it waited. */
  async run<T>(tokens: Token[], job: Job, work: (sequence: LlamaContextSequence) => Promise<T>): Promise<T> {
    // Someone new may come in between being woken and going on: then it is waiting once more.
    while (this.#free.length === 0) await new Promise<void>((go) => this.#waiting.push(go));
    const sequence = this.#take(tokens);
    try {
      if (job.aborted) throw aborted();
      return await work(sequence);
    } finally {
      this.#free.push(sequence);
      this.#waiting.shift()?.();
    }
  }

  #take(tokens: Token[]): LlamaContextSequence {
    let best = 0;
    let longest = -1;
    this.#free.forEach((sequence, index) => {
      const { firstDifferentIndex } = sequence.compareContextTokens(tokens);
      if (firstDifferentIndex > longest) {
        longest = firstDifferentIndex;
        best = index;
      }
    });
    const [sequence] = this.#free.splice(best, 1);
    if (sequence === undefined) throw new EngineError('engine_failed', 'There is no free slot');
    return sequence;
  }
}

export function aborted(): EngineError {
  return new EngineError('aborted', 'The request was stopped');
}
