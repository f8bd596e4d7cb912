import { Readable } from 'node:stream';
import { GetObjectCommand, HeadObjectCommand } from '@aws-sdk/client-s3';
import { ObjectMissingError } from '../port.ts';
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
  const { client, location, key } = locate(url);
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
    throw missing(error, url) ?? explain(error, location);
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
 * Size of one such object, in bytes, without reading it.
 * @throws as `openS3Input`
 */
export async function sizeOfS3Input(url: string, signal?: AbortSignal): Promise<number> {
  const { client, location, key } = locate(url);
  try {
    const answer = await client.send(
      new HeadObjectCommand({ Bucket: location.bucket, Key: key }),
      signal === undefined ? {} : { abortSignal: signal },
    );
    return answer.ContentLength ?? 0;
  } catch (error) {
    throw missing(error, url) ?? explain(error, location);
  } finally {
    client.destroy();
  }
}

function locate(url: string) {
  const match = /^s3:\/\/([^/?#]+)\/(.+)$/s.exec(url);
  const [, bucket = '', key = ''] = match ?? [];
  if (match === null) throw new BucketUrlError(`'${url}' is not of the form s3://bucket/key.`);
  const location = parseS3Url(new URL(`s3://${bucket}`), process.env);
  return { client: makeClient(location), location, key };
}

function missing(error: unknown, url: string): ObjectMissingError | null {
  if (statusOf(error) !== 404 || codeOf(error) === 'NoSuchBucket') return null;
  return new ObjectMissingError(`There is no object ${url}.`);
}
