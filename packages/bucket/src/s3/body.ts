import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

/** How often in a row a download may break without a byte in between. */
const MAX_BREAKS = 4;

/**
 * The bytes of an object from one download, and, when that breaks, from further ones that begin where it broke. So a long
 * read outlives a lost connection, a server's idle timeout while the reader is busy, and a server's restart.
 * Not a generator: `return()` must let go of the connection even if nothing was read yet.
 */
export class S3Body implements AsyncIterableIterator<Uint8Array> {
  readonly #reopen: (position: number) => Promise<AsyncIterator<Uint8Array>>;
  readonly #translate: (error: unknown) => unknown;
  readonly #stop: number;
  #position: number;
  #part: AsyncIterator<Uint8Array>;
  #breaks = 0;
  #ended = false;

  /**
   * @param part the download that is under way, of the bytes from `start` up to but not including `stop`
   * @param reopen downloads the bytes from `position` up to `stop` of the same version of the object
   */
  constructor(
    part: AsyncIterator<Uint8Array>,
    span: { start: number; stop: number },
    reopen: (position: number) => Promise<AsyncIterator<Uint8Array>>,
    translate: (error: unknown) => unknown,
  ) {
    this.#part = part;
    this.#position = span.start;
    this.#stop = span.stop;
    this.#reopen = reopen;
    this.#translate = translate;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    while (!this.#ended) {
      try {
        const result = await this.#part.next();
        if (result.done !== true) {
          this.#position += result.value.byteLength;
          this.#breaks = 0;
          return result;
        }
        if (this.#position >= this.#stop) break;
        throw new Error(`The download ended ${this.#stop - this.#position} bytes early.`);
      } catch (error) {
        if (!this.#ended) await this.#resume(error);
      }
    }
    this.#ended = true;
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    this.#ended = true;
    await this.#part.return?.();
    return { done: true, value: undefined };
  }

  async #resume(broken: unknown): Promise<void> {
    this.#breaks += 1;
    if (this.#breaks > MAX_BREAKS) {
      this.#ended = true;
      throw this.#translate(broken);
    }
    await sleep(200 * (this.#breaks - 1));
    try {
      this.#part = await this.#reopen(this.#position);
    } catch (error) {
      this.#ended = true;
      throw this.#translate(error);
    }
  }
}

/** Downloads of the SDK are Node streams; theirs is an iterator that lets go of the connection even before the first `next`. */
export function chunksOf(stream: Readable): AsyncIterator<Uint8Array> {
  const iterator = stream[Symbol.asyncIterator]();
  return {
    async next() {
      const result = await iterator.next();
      if (result.done === true) return { done: true, value: undefined };
      if (!(result.value instanceof Uint8Array)) throw new TypeError('a download that is not of bytes');
      return { done: false, value: result.value };
    },
    async return() {
      stream.destroy();
      return { done: true, value: undefined };
    },
  };
}
