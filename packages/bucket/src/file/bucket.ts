import { type FileHandle, open, readFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { checkKey, checkPrefix, checkRange } from '../keys.ts';
import { type Bucket, type ObjectInfo, ObjectMissingError } from '../port.ts';
import { Abortable } from '../streams.ts';
import { FileBody } from './body.ts';
import { Disk } from './disk.ts';
import { codeOf, explain } from './errors.ts';
import { infoOf, listFolder } from './list.ts';

/** Small chunks of a stream are gathered to this size before they are written. */
const GATHER = 1024 * 1024;

/**
 * A bucket in a folder; a key is a path in it. Several processes on one machine may share it.
 *
 * Beyond the port: an object that a call has acknowledged survives a power cut (data and folder are flushed). A key cannot
 * be both an object and the beginning of another key up to a `/` (`BucketKeyError`). A listing reads the names of one
 * folder at a time into memory. Needs a file system with hard links.
 */
export class FileBucket implements Bucket {
  readonly url: string;
  readonly #disk: Disk;

  private constructor(disk: Disk) {
    this.#disk = disk;
    this.url = pathToFileURL(disk.root).href;
  }

  /** Opens the folder at an absolute path and makes it if there is none. Throws `BucketUnavailableError`. */
  static async open(root: string): Promise<FileBucket> {
    try {
      return new FileBucket(await Disk.open(root));
    } catch (error) {
      throw explain(error, root);
    }
  }

  async put(key: string, body: Uint8Array | string): Promise<void> {
    checkKey(key);
    await this.#explained(key, () => this.#disk.store(key, false, (file) => writeAll(file, bytesOf(body))));
  }

  async create(key: string, body: Uint8Array | string): Promise<boolean> {
    checkKey(key);
    return this.#explained(key, () => this.#disk.store(key, true, (file) => writeAll(file, bytesOf(body))));
  }

  async write(
    key: string,
    source: AsyncIterable<Uint8Array>,
    options: { signal?: AbortSignal } = {},
  ): Promise<{ bytes: number }> {
    checkKey(key);
    const input = new Abortable(source, options.signal);
    try {
      await this.#disk.store(
        key,
        false,
        (file) => pour(input, file),
        () => options.signal?.throwIfAborted(),
      );
      return { bytes: input.bytes };
    } catch (error) {
      await input.return();
      throw input.thrown === undefined ? explain(error, this.#disk.root, key) : input.thrown.error;
    }
  }

  async get(key: string): Promise<Uint8Array | null> {
    checkKey(key);
    return this.#found(key, () => readFile(this.#disk.path(key)));
  }

  async read(key: string, range?: { start: number; end?: number }): Promise<AsyncIterable<Uint8Array> | null> {
    checkKey(key);
    if (range !== undefined) checkRange(range);
    return this.#found(key, async () => {
      const file = await open(this.#disk.path(key), 'r');
      try {
        const stats = await file.stat();
        if (stats.isFile()) {
          const stop = Math.min(stats.size, (range?.end ?? stats.size) + 1);
          return new FileBody(file, range?.start ?? 0, stop, (error) => explain(error, this.#disk.root));
        }
      } catch (error) {
        await file.close();
        throw error;
      }
      await file.close();
      return null;
    });
  }

  async head(key: string): Promise<ObjectInfo | null> {
    checkKey(key);
    return this.#found(key, () => infoOf(this.#disk.root, key));
  }

  async *list(prefix: string, options: { after?: string } = {}): AsyncGenerator<ObjectInfo> {
    checkPrefix(prefix);
    try {
      await this.#disk.assertThere();
      yield* listFolder(this.#disk.root, prefix, options.after ?? '');
    } catch (error) {
      throw explain(error, this.#disk.root);
    }
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    await this.#explained(undefined, () => this.#disk.remove(key));
  }

  async concat(key: string, sources: string[]): Promise<{ bytes: number }> {
    for (const source of sources) checkKey(source);
    return this.write(key, this.#joined(sources));
  }

  async presign(key: string): Promise<null> {
    checkKey(key);
    return null;
  }

  async presignWrite(key: string): Promise<null> {
    checkKey(key);
    return null;
  }

  async check(): Promise<void> {
    await this.#explained(undefined, () => this.#disk.probe());
  }

  async close(): Promise<void> {}

  async *#joined(sources: string[]): AsyncGenerator<Uint8Array> {
    for (const source of sources) {
      const body = await this.read(source);
      if (body === null) throw new ObjectMissingError(`There is no object ${source} to join.`);
      yield* body;
    }
  }

  /** `null` if there is no file, after a look that the folder itself is there. */
  async #found<T>(key: string, look: () => Promise<T | null>): Promise<T | null> {
    return this.#explained(key, async () => {
      try {
        const found = await look();
        if (found !== null) return found;
      } catch (error) {
        const code = codeOf(error);
        if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'EISDIR') throw error;
      }
      await this.#disk.assertThere();
      return null;
    });
  }

  async #explained<T>(key: string | undefined, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw explain(error, this.#disk.root, key);
    }
  }
}

function bytesOf(body: Uint8Array | string): Uint8Array {
  return typeof body === 'string' ? Buffer.from(body) : body;
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) done += (await file.write(bytes, done)).bytesWritten;
}

async function pour(source: AsyncIterable<Uint8Array>, file: FileHandle): Promise<void> {
  const gathered = Buffer.allocUnsafeSlow(GATHER);
  let filled = 0;
  for await (const chunk of source) {
    if (filled + chunk.byteLength > GATHER) {
      await writeAll(file, gathered.subarray(0, filled));
      filled = 0;
    }
    if (chunk.byteLength >= GATHER) {
      await writeAll(file, chunk);
    } else {
      gathered.set(chunk, filled);
      filled += chunk.byteLength;
    }
  }
  await writeAll(file, gathered.subarray(0, filled));
}
