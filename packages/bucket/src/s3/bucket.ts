import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { checkKey, checkPrefix, checkRange, isKey } from '../keys.ts';
import { type Bucket, BucketUnavailableError, type ObjectInfo, ObjectMissingError } from '../port.ts';
import { Abortable, collect } from '../streams.ts';
import { chunksOf, S3Body } from './body.ts';
import { makeClient } from './client.ts';
import { copyParts, planCopy } from './copy.ts';
import { codeOf, explain, statusOf } from './errors.ts';
import type { S3Location } from './location.ts';
import { upload } from './upload.ts';

/** How often a conditional write that met another one half done is tried (S3 answers 409 `ConditionalRequestConflict`). */
const CONFLICT_TRIES = 6;
const HEADS_AT_A_TIME = 16;
/** The longest a signed URL of S3 can last (Signature Version 4). */
const MAX_PRESIGN_SECONDS = 7 * 24 * 60 * 60;

/**
 * A bucket of S3, or of a server that speaks S3 and honours `If-None-Match: *` (`check` finds out). Multipart uploads of
 * killed processes stay on the server: give the bucket a lifecycle rule `AbortIncompleteMultipartUpload`.
 */
export class S3Bucket implements Bucket {
  readonly url: string;
  readonly #location: S3Location;
  readonly #client: S3Client;
  readonly #publicClient: S3Client;
  #conditionsHonoured = false;

  private constructor(location: S3Location) {
    this.url = location.url;
    this.#location = location;
    this.#client = makeClient(location);
    this.#publicClient =
      location.publicEndpoint === undefined ? this.#client : makeClient(location, location.publicEndpoint);
  }

  static open(location: S3Location): S3Bucket {
    return new S3Bucket(location);
  }

  async put(key: string, body: Uint8Array | string): Promise<void> {
    const at = this.#at(key);
    await this.#explained(() => this.#client.send(new PutObjectCommand({ ...at, ...whole(body) })));
  }

  async create(key: string, body: Uint8Array | string): Promise<boolean> {
    const at = this.#at(key);
    // Our mark on the object. A try whose answer was lost may have won, and its repetition then fails the condition.
    const writer = randomUUID();
    const command = () =>
      new PutObjectCommand({ ...at, ...whole(body), IfNoneMatch: '*', Metadata: { 'batchmill-writer': writer } });
    return this.#explained(async () => {
      for (let tries = 1; ; tries++) {
        try {
          await this.#client.send(command());
          return true;
        } catch (error) {
          if (statusOf(error) === 412) return this.#isWrittenBy(writer, at);
          if (statusOf(error) !== 409 || tries === CONFLICT_TRIES) throw error;
          await sleep(50 * 2 ** tries * Math.random());
        }
      }
    });
  }

  async write(
    key: string,
    source: AsyncIterable<Uint8Array>,
    options: { signal?: AbortSignal } = {},
  ): Promise<{ bytes: number }> {
    const at = this.#at(key);
    const input = new Abortable(source, options.signal);
    try {
      await upload(this.#client, at, input);
      return { bytes: input.bytes };
    } catch (error) {
      throw input.thrown === undefined ? explain(error, this.#location) : input.thrown.error;
    }
  }

  async get(key: string): Promise<Uint8Array | null> {
    const body = await this.read(key);
    return body === null ? null : collect(body);
  }

  async read(key: string, range?: { start: number; end?: number }): Promise<AsyncIterable<Uint8Array> | null> {
    const at = this.#at(key);
    if (range !== undefined) checkRange(range);
    const start = range?.start ?? 0;
    const download = async (from: number, end: number | undefined, version: string | undefined) => {
      const Range = from === 0 && end === undefined ? undefined : `bytes=${from}-${end ?? ''}`;
      const response = await this.#client.send(new GetObjectCommand({ ...at, Range, IfMatch: version }));
      // On Node every body is a Readable; the SDK's type also has the browser's kinds.
      if (!(response.Body instanceof Readable))
        throw new BucketUnavailableError(`${this.url} answered without a body.`);
      return { part: chunksOf(response.Body), bytes: response.ContentLength ?? 0, version: response.ETag };
    };
    return this.#explained(async () => {
      try {
        const { part, bytes, version } = await download(start, range?.end, undefined);
        const stop = start + bytes;
        const resume = async (position: number) => (await download(position, stop - 1, version)).part;
        return new S3Body(part, { start, stop }, resume, (error) => explain(error, this.#location));
      } catch (error) {
        if (isMissing(error)) return null;
        // The range begins at or past the end (RFC 9110 §15.5.17).
        if (statusOf(error) === 416) return nothing();
        throw error;
      }
    });
  }

  async head(key: string): Promise<ObjectInfo | null> {
    const at = this.#at(key);
    return this.#explained(async () => {
      try {
        const response = await this.#client.send(new HeadObjectCommand(at));
        return { key, bytes: response.ContentLength ?? 0, modified: response.LastModified?.getTime() ?? 0 };
      } catch (error) {
        if (isMissing(error)) return null;
        throw error;
      }
    });
  }

  async *list(prefix: string, options: { after?: string } = {}): AsyncGenerator<ObjectInfo> {
    checkPrefix(prefix);
    const own = this.#location.prefix;
    let page: string | undefined;
    do {
      const response = await this.#explained(() =>
        this.#client.send(
          new ListObjectsV2Command({
            Bucket: this.#location.bucket,
            Prefix: own + prefix,
            StartAfter: options.after === undefined ? undefined : own + options.after,
            ContinuationToken: page,
          }),
        ),
      );
      for (const object of response.Contents ?? []) {
        const key = object.Key?.slice(own.length) ?? '';
        // Not ours: "folders" that S3 consoles make, for example.
        if (!isKey(key)) continue;
        yield { key, bytes: object.Size ?? 0, modified: object.LastModified?.getTime() ?? 0 };
      }
      page = response.IsTruncated === true ? response.NextContinuationToken : undefined;
    } while (page !== undefined);
  }

  async delete(key: string): Promise<void> {
    const at = this.#at(key);
    await this.#explained(() => this.#client.send(new DeleteObjectCommand(at)));
  }

  async concat(key: string, sources: string[]): Promise<{ bytes: number }> {
    const at = this.#at(key);
    const sizes: number[] = [];
    for (let i = 0; i < sources.length; i += HEADS_AT_A_TIME) {
      sizes.push(...(await Promise.all(sources.slice(i, i + HEADS_AT_A_TIME).map((source) => this.#sizeOf(source)))));
    }
    const plan = planCopy(sources.map((source, i) => ({ ...this.#at(source), bytes: sizes[i] ?? 0 })));
    if (plan !== null && (await this.#explained(() => copyParts(this.#client, at, plan)))) {
      return { bytes: sizes.reduce((sum, bytes) => sum + bytes, 0) };
    }
    return this.write(key, this.#joined(sources));
  }

  async presign(key: string, options: { seconds: number; filename?: string }): Promise<string> {
    const at = this.#at(key);
    checkSeconds(options.seconds);
    const disposition = options.filename === undefined ? undefined : attachment(options.filename);
    const command = new GetObjectCommand({ ...at, ResponseContentDisposition: disposition });
    return this.#explained(() => getSignedUrl(this.#publicClient, command, { expiresIn: Math.floor(options.seconds) }));
  }

  async presignWrite(key: string, options: { seconds: number; bytes: number }): Promise<string> {
    const at = this.#at(key);
    checkSeconds(options.seconds);
    const command = new PutObjectCommand({ ...at, ContentLength: options.bytes });
    // Signed as a header, the length cannot be another one: the URL is worth this many bytes and no more.
    const signed = { expiresIn: Math.floor(options.seconds), signableHeaders: new Set(['content-length', 'host']) };
    return this.#explained(() => getSignedUrl(this.#publicClient, command, signed));
  }

  async check(): Promise<void> {
    const key = `.check/${randomUUID()}`;
    try {
      await this.put(key, key);
      const read = await this.get(key);
      if (read === null || Buffer.from(read).toString() !== key) {
        throw new BucketUnavailableError(`The bucket ${this.url} does not give back what was just written to it.`);
      }
      if (!this.#conditionsHonoured && (await this.create(key, 'again'))) {
        throw new BucketUnavailableError(
          `The server of ${this.url} ignores "If-None-Match: *", so it cannot keep two writers apart. Use one that honours it: AWS S3, SeaweedFS 4, R2, Ceph 20 or newer.`,
        );
      }
      this.#conditionsHonoured = true;
    } finally {
      await this.delete(key);
    }
  }

  async close(): Promise<void> {
    this.#client.destroy();
    this.#publicClient.destroy();
  }

  #at(key: string): { Bucket: string; Key: string } {
    checkKey(key);
    return { Bucket: this.#location.bucket, Key: this.#location.prefix + key };
  }

  async #isWrittenBy(writer: string, at: { Bucket: string; Key: string }): Promise<boolean> {
    try {
      const response = await this.#client.send(new HeadObjectCommand(at));
      return response.Metadata?.['batchmill-writer'] === writer;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }

  async #sizeOf(key: string): Promise<number> {
    const info = await this.head(key);
    if (info === null) throw new ObjectMissingError(`There is no object ${key} to join.`);
    return info.bytes;
  }

  async *#joined(sources: string[]): AsyncGenerator<Uint8Array> {
    for (const source of sources) {
      const body = await this.read(source);
      if (body === null) throw new ObjectMissingError(`There is no object ${source} to join.`);
      yield* body;
    }
  }

  async #explained<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw explain(error, this.#location);
    }
  }
}

/** With the length, which the SDK does not see in an empty body. */
function whole(body: Uint8Array | string): { Body: Uint8Array; ContentLength: number } {
  const Body = typeof body === 'string' ? Buffer.from(body) : body;
  return { Body, ContentLength: Body.byteLength };
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** No such object. A bucket that is not there also answers 404: an absence is a fact, so the two must not be mixed up. */
function checkSeconds(seconds: number): void {
  if (seconds >= 1 && seconds <= MAX_PRESIGN_SECONDS) return;
  throw new RangeError(`A signed URL lasts 1 to ${MAX_PRESIGN_SECONDS} seconds, not ${seconds}.`);
}

function isMissing(error: unknown): boolean {
  return statusOf(error) === 404 && codeOf(error) !== 'NoSuchBucket';
}

/** RFC 6266, with the file name in UTF-8 (RFC 8187) and, for old clients, without what is not ASCII. */
function attachment(filename: string): string {
  const plain = filename.replace(/[^ -~]|["\\%]/g, '_');
  const encoded = encodeURIComponent(filename).replace(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`;
}
