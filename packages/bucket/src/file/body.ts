import type { FileHandle } from 'node:fs/promises';

const CHUNK = 256 * 1024;

/**
 * The bytes of an open file from `start` up to but not including `stop`. The file is open already, so deleting or
 * replacing the object does not disturb a reader. Not a generator: `return()` must close the file even if nothing was
 * read yet (a client that hung up before the first byte).
 */
export class FileBody implements AsyncIterableIterator<Uint8Array> {
  readonly #file: FileHandle;
  readonly #translate: (error: unknown) => unknown;
  #position: number;
  readonly #stop: number;
  #open = true;

  constructor(file: FileHandle, start: number, stop: number, translate: (error: unknown) => unknown) {
    this.#file = file;
    this.#position = start;
    this.#stop = stop;
    this.#translate = translate;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    const length = Math.min(CHUNK, this.#stop - this.#position);
    if (!this.#open || length <= 0) return this.return();
    try {
      // Not from the pool: a consumer may keep the chunk for as long as it likes.
      const { bytesRead, buffer } = await this.#file.read(Buffer.allocUnsafeSlow(length), 0, length, this.#position);
      if (bytesRead === 0) return await this.return();
      this.#position += bytesRead;
      return { done: false, value: buffer.subarray(0, bytesRead) };
    } catch (error) {
      await this.return();
      throw this.#translate(error);
    }
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    if (this.#open) {
      this.#open = false;
      await this.#file.close();
    }
    return { done: true, value: undefined };
  }
}
