/**
 * Passes `source` on until `signal` aborts, then throws the signal's reason at once, even while the source is silent.
 * The source is told to stop (`return()`), but not waited for: one that hangs must not hold up the clean-up.
 * What the source throws is kept in `thrown`, so that an adapter can tell the source's failure from the store's.
 */
export class Abortable implements AsyncIterableIterator<Uint8Array> {
  thrown: { error: unknown } | undefined;
  bytes = 0;
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #signal: AbortSignal | undefined;

  constructor(source: AsyncIterable<Uint8Array>, signal?: AbortSignal) {
    this.#iterator = source[Symbol.asyncIterator]();
    this.#signal = signal;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    try {
      const result = await this.#nextOrAbort();
      if (result.done !== true) this.bytes += result.value.byteLength;
      return result;
    } catch (error) {
      this.thrown ??= { error };
      throw error;
    }
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    // A source that fails while it is being stopped has nothing more to say.
    this.#iterator.return?.().catch(() => {});
    return { done: true, value: undefined };
  }

  async #nextOrAbort(): Promise<IteratorResult<Uint8Array>> {
    const signal = this.#signal;
    if (signal === undefined) return this.#iterator.next();
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const onAbort = () => {
      reject(signal.reason);
      void this.return();
    };
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([aborted, signal.aborted ? aborted : this.#iterator.next()]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }
}

/** A whole stream in one piece, for small objects. */
export async function collect(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  const [first] = chunks;
  return chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
}
