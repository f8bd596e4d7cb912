import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { EngineError } from '../port.ts';

/** The model file is missing, cut off, damaged, or no GGUF. The message says which, with the path. */
export class GgufError extends EngineError {
  constructor(message: string, cause?: unknown) {
    super('model_unusable', message, cause);
  }
}

const WINDOW = 1 << 20;

/**
 * Reads a file front to back through a window of 1 MiB. No length found in the file is believed before it is checked
 * against what the file still holds, so a damaged one costs no memory and no time.
 */
export class Bytes {
  readonly path: string;
  readonly size: number;
  readonly #fd: number;
  #window: Buffer = Buffer.alloc(0);
  /** Position in the file of the window's first byte. */
  #start = 0;
  #at = 0;

  /** @throws GgufError when there is no such file. */
  constructor(path: string) {
    this.path = path;
    try {
      this.#fd = openSync(path, 'r');
    } catch (error) {
      throw new GgufError(`${path} cannot be opened: ${reason(error)}`, error);
    }
    const stat = fstatSync(this.#fd);
    this.size = stat.isFile() ? stat.size : 0;
    if (!stat.isFile()) {
      this.close();
      throw new GgufError(`${path} is not a file`);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  get position(): number {
    return this.#start + this.#at;
  }

  get left(): number {
    return this.size - this.position;
  }

  seek(position: number): void {
    if (position > this.size) throw this.cutOff();
    this.#start = position;
    this.#at = 0;
    this.#window = Buffer.alloc(0);
  }

  skip(length: number): void {
    if (length > this.left) throw this.cutOff();
    if (this.#at + length <= this.#window.length) this.#at += length;
    else this.seek(this.position + length);
  }

  /** The next bytes, to be read at once: the window moves on under them. */
  take(length: number): Buffer {
    if (this.#at + length > this.#window.length) this.#load(length);
    const from = this.#at;
    this.#at += length;
    return this.#window.subarray(from, this.#at);
  }

  u8(): number {
    return this.take(1).readUInt8();
  }

  u32(): number {
    return this.take(4).readUInt32LE();
  }

  /** A length or count. Larger ones than the file has bytes mean damage. */
  length(what: string): number {
    const value = this.take(8).readBigUInt64LE();
    if (value > BigInt(this.size))
      throw new GgufError(`${this.path} is damaged or cut off: ${what} cannot be ${value}`);
    return Number(value);
  }

  /** @param longest in bytes. */
  text(what: string, longest: number): string {
    const length = this.length(`the length of ${what}`);
    if (length > longest) throw new GgufError(`${this.path} is damaged: ${what} has ${length} bytes`);
    return this.take(length).toString('utf8');
  }

  cutOff(): GgufError {
    return new GgufError(`${this.path} is cut off after ${this.size} bytes: the copy or download is incomplete`);
  }

  #load(length: number): void {
    const start = this.position;
    if (length > this.size - start) throw this.cutOff();
    const window = Buffer.allocUnsafe(Math.min(Math.max(length, WINDOW), this.size - start));
    let filled = 0;
    while (filled < window.length) {
      const read = readSync(this.#fd, window, filled, window.length - filled, start + filled);
      // The file shrank while it was read.
      if (read === 0) throw this.cutOff();
      filled += read;
    }
    this.#start = start;
    this.#at = 0;
    this.#window = window;
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
