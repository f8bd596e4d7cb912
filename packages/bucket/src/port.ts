/**
 * The object store port. Two adapters, `file://` and `s3://`, pass one conformance suite (`conformance.ts`).
 *
 * Guarantees every adapter gives:
 * - an object appears whole or not at all: a reader never sees half of a `write`, even after a crash;
 * - a key written is readable and listed as soon as the call returns (strong read-after-write consistency);
 * - `create` lets exactly one of several racing writers win.
 *
 * Keys are `/`-separated segments of `[A-Za-z0-9._=+-]`, at most 255 bytes each and 900 in all, no `.` or `..` segment, no
 * leading or trailing slash, and no key is the beginning of another one up to a slash (a folder cannot hold both). Adapters reject any other key with a `BucketKeyError`.
 */
export interface Bucket {
  /** The URL this bucket was opened from, without secrets, for logs and readiness messages. */
  readonly url: string;

  /** Writes a small object whole, replacing one that is there. */
  put(key: string, body: Uint8Array | string): Promise<void>;

  /** Writes a small object unless the key exists. `false` if it did (nothing is changed then). RFC 9110 §13.1.2 `If-None-Match: *`. */
  create(key: string, body: Uint8Array | string): Promise<boolean>;

  /**
   * Writes an object of any size from a stream in flat memory. The object appears when the stream has ended; if the
   * stream throws or the signal aborts, nothing appears and nothing is left behind.
   */
  write(key: string, source: AsyncIterable<Uint8Array>, options?: { signal?: AbortSignal }): Promise<{ bytes: number }>;

  /** A small object whole, or `null` if there is none. */
  get(key: string): Promise<Uint8Array | null>;

  /**
   * An object as a stream, or `null` if there is none. `range` is in bytes, both ends inclusive; `end` past the
   * object's last byte is cut, a `start` at or past its size gives an empty stream.
   */
  read(key: string, range?: { start: number; end?: number }): Promise<AsyncIterable<Uint8Array> | null>;

  /** Size and age, or `null` if there is no such object. */
  head(key: string): Promise<ObjectInfo | null>;

  /**
   * Objects whose key begins with `prefix` (which need not end at a slash), in ascending byte order of the keys, from the
   * first key greater than `after`. Fetches page by page: stop iterating to stop reading.
   */
  list(prefix: string, options?: { after?: string }): AsyncIterable<ObjectInfo>;

  /** Deletes an object; nothing happens if there is none. */
  delete(key: string): Promise<void>;

  /**
   * Joins objects into one, in the order given, in flat memory (S3: by server-side copy where the sizes allow it).
   * The sources stay. Throws `ObjectMissingError` if one is not there.
   */
  concat(key: string, sources: string[]): Promise<{ bytes: number }>;

  /** A URL at which the object can be downloaded directly for `seconds`, or `null` where the store has none (`file://`). */
  presign(key: string, options: { seconds: number; filename?: string }): Promise<string | null>;

  /**
   * A URL to which an object of exactly `bytes` bytes can be PUT directly for `seconds`, with `content-length` as only header, or
   * `null` where the store has none (`file://`). It replaces an object that is there.
   */
  presignWrite(key: string, options: { seconds: number; bytes: number }): Promise<string | null>;

  /** Throws with a message that says what is wrong if the store cannot be written and read now. */
  check(): Promise<void>;

  close(): Promise<void>;
}

export interface ObjectInfo {
  key: string;
  /** Size in bytes. */
  bytes: number;
  /** Unix milliseconds. */
  modified: number;
}

/** A key outside the allowed alphabet or length: a programming error, or an attack that got too far. */
export class BucketKeyError extends Error {
  override readonly name = 'BucketKeyError';
}

/** An object that was expected is not there. */
export class ObjectMissingError extends Error {
  override readonly name = 'ObjectMissingError';
}

/** The store failed after all retries: full disk, no network, no permission. `message` says which, in plain words. */
export class BucketUnavailableError extends Error {
  override readonly name = 'BucketUnavailableError';
}
