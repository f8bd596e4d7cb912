import { PassThrough } from 'node:stream';
import type { Bucket } from '@batchmill/bucket';
import type { FileObject } from '@batchmill/contract';
import { createFile } from '@batchmill/files';

/** Lines are joined to pieces of about this size before they go to the bucket. */
const PIECE_BYTES = 256 * 1024;

export interface ResultFileOptions {
  tenant: string;
  id: string;
  filename: string;
  /** Unix seconds. */
  expiresAt?: number;
}

/** One result file, begun with its first line: a batch without errors has no error file. */
export class ResultFile {
  /** Lines added so far. */
  lines = 0;
  readonly #bucket: Bucket;
  readonly #options: ResultFileOptions;
  readonly #abort = new AbortController();
  #pieces: string[] = [];
  #bytes = 0;
  #open: { stream: PassThrough; created: Promise<FileObject> } | null = null;

  constructor(bucket: Bucket, options: ResultFileOptions) {
    this.#bucket = bucket;
    this.#options = options;
  }

  add(line: string): void {
    this.lines++;
    this.#pieces.push(line, '\n');
    this.#bytes += line.length + 1;
  }

  /** Begins the file, with or without lines. */
  open(): { stream: PassThrough; created: Promise<FileObject> } {
    if (this.#open === null) {
      const stream = new PassThrough({ highWaterMark: 4 * PIECE_BYTES });
      const created = createFile(this.#bucket, this.#options.tenant, {
        ...this.#options,
        purpose: 'batch_output',
        source: stream,
        signal: this.#abort.signal,
      });
      // Awaited by `flush` and `end`; until then a failure must not count as unhandled.
      created.catch(() => {});
      this.#open = { stream, created };
    }
    return this.#open;
  }

  /** Passes what has gathered on, if it is enough, at the speed the bucket takes it. */
  async flush(least = PIECE_BYTES): Promise<void> {
    if (this.#bytes === 0 || this.#bytes < least) return;
    const { stream, created } = this.open();
    const piece = this.#pieces.join('');
    this.#pieces = [];
    this.#bytes = 0;
    if (stream.write(piece)) return;
    // If the bucket fails nobody drains the stream any more: then the failure is the answer.
    await Promise.race([new Promise<void>((done) => stream.once('drain', done)), created]);
  }

  /** Ends the file. `null` if it was never begun. */
  async end(): Promise<FileObject | null> {
    await this.flush(1);
    if (this.#open === null) return null;
    this.#open.stream.end();
    return this.#open.created;
  }

  /** Gives up: nothing of the file stays behind. */
  abort(): void {
    this.#abort.abort();
    this.#open?.stream.destroy();
  }
}
