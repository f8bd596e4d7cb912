import { Readable } from 'node:stream';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { ObjectMissingError, ObjectTooLargeError } from '../port.ts';
import { BucketUrlError } from '../url.ts';
import { makeClient } from './client.ts';
import { codeOf, explain, statusOf } from './errors.ts';
import { parseS3Url } from './location.ts';

/** An object of a user's own bucket: from where the reader asked to begin, with the size of the whole. */
export interface S3Input {
  /** Bytes of the whole object. */
  size: number;
  /** Changes when the object does. */
  etag: string | null;
  /** The bytes from `start` on. Ends with a `BucketUnavailableError` if the line breaks. */
  body: AsyncIterable<Uint8Array>;
}

/**
 * Opens one object of a bucket that is not ours, `s3://bucket/any/key`, with this process's credentials. Keys there are
 * whatever the user's tools made, so only S3's own rules hold for them. Who may read what is the caller's to decide first.
 *
 * @throws BucketUrlError if it is no such URL
 * @throws ObjectMissingError if there is no such object
 * @throws BucketUnavailableError if the store fails
 */
export async function openS3Input(
  url: string,
  options: { start?: number; signal?: AbortSignal } = {},
): Promise<S3Input> {
  const match = /^s3:\/\/([^/?#]+)\/(.+)$/s.exec(url);
  const [, bucket = '', key = ''] = match ?? [];
  if (match === null) throw new BucketUrlError(`'${url}' is not of the form s3://bucket/key.`);
  const location = parseS3Url(new URL(`s3://${bucket}`), process.env);
  const client = makeClient(location);
  const { start = 0, signal } = options;
  try {
    const answer = await client.send(
      new GetObjectCommand({ Bucket: location.bucket, Key: key, ...(start > 0 ? { Range: `bytes=${start}-` } : {}) }),
      signal === undefined ? {} : { abortSignal: signal },
    );
    const stream = answer.Body;
    if (!(stream instanceof Readable)) throw new TypeError('a download that is not a stream');
    const total = Number(/\/(\d+)$/.exec(answer.ContentRange ?? '')?.[1] ?? answer.ContentLength ?? 0);
    return { size: total, etag: answer.ETag ?? null, body: body(stream) };
  } catch (error) {
    client.destroy();
    if (statusOf(error) === 404 && codeOf(error) !== 'NoSuchBucket')
      throw new ObjectMissingError(`There is no object ${url}.`);
    throw explain(error, location);
  }

  async function* body(stream: Readable): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of stream) yield chunk;
    } catch (error) {
      throw explain(error, location);
    } finally {
      client.destroy();
    }
  }
}

/**
 * Reads one such object whole.
 * @throws ObjectTooLargeError, before anything is downloaded, if it has more than `maxBytes`; and what `openS3Input` throws
 */
export async function readS3Input(url: string, maxBytes: number): Promise<Uint8Array> {
  const stop = new AbortController();
  const { size, body } = await openS3Input(url, { signal: stop.signal });
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    if (size > maxBytes) throw new ObjectTooLargeError(`${url} has ${size} bytes; at most ${maxBytes} are read.`);
    for await (const part of body) {
      bytes += part.byteLength;
      // A store may say less than it sends.
      if (bytes > maxBytes) throw new ObjectTooLargeError(`${url} has more than ${maxBytes} bytes.`);
      parts.push(part);
    }
  } finally {
    stop.abort();
  }
  return Buffer.concat(parts);
}
