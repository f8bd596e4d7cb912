import { Readable } from 'node:stream';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { ObjectMissingError, ObjectTooLargeError } from '../port.ts';
import { BucketUrlError } from '../url.ts';
import { chunksOf } from './body.ts';
import { makeClient } from './client.ts';
import { codeOf, explain, statusOf } from './errors.ts';
import { parseS3Url } from './location.ts';

/**
 * Reads one object of a user's own bucket, `s3://bucket/any/key`, with this process's credentials. Keys here are whatever the
 * user's tools made, so only S3's own rules hold for them. Who may read what is the caller's to decide first.
 *
 * @throws BucketUrlError if it is no such URL
 * @throws ObjectMissingError if there is no such object
 * @throws ObjectTooLargeError before anything is downloaded if it has more than `maxBytes`
 * @throws BucketUnavailableError if the store fails
 */
export async function readS3Object(url: string, maxBytes: number): Promise<Uint8Array> {
  const match = /^s3:\/\/([^/?#]+)\/(.+)$/s.exec(url);
  const [, bucket = '', key = ''] = match ?? [];
  if (match === null) throw new BucketUrlError(`'${url}' is not of the form s3://bucket/key.`);
  const location = parseS3Url(new URL(`s3://${bucket}`), process.env);
  const client = makeClient(location);
  try {
    const answer = await client.send(new GetObjectCommand({ Bucket: location.bucket, Key: key }));
    const size = answer.ContentLength ?? 0;
    if (!(answer.Body instanceof Readable)) throw new TypeError('a download that is not a stream');
    if (size > maxBytes) throw new ObjectTooLargeError(`${url} has ${size} bytes; at most ${maxBytes} are read.`);
    const parts: Uint8Array[] = [];
    let bytes = 0;
    const chunks = chunksOf(answer.Body);
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
      bytes += next.value.byteLength;
      if (bytes > maxBytes) throw new ObjectTooLargeError(`${url} has more than ${maxBytes} bytes.`);
      parts.push(next.value);
    }
    return Buffer.concat(parts);
  } catch (error) {
    if (error instanceof ObjectMissingError || error instanceof ObjectTooLargeError) throw error;
    if (statusOf(error) === 404 && codeOf(error) !== 'NoSuchBucket')
      throw new ObjectMissingError(`There is no object ${url}.`);
    throw explain(error, location);
  } finally {
    client.destroy();
  }
}
