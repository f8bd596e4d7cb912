import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { BucketUrlError } from '../url.ts';
import { makeClient } from './client.ts';
import { explain } from './errors.ts';
import { parseS3Url } from './location.ts';

/** One object of a user's own bucket. */
export interface S3InputInfo {
  /** `s3://bucket/key`, as `openS3Input` and the items of a batch take it. */
  url: string;
  /** Whatever the user's tools made of it: empty segments, `..` and any character are possible. */
  key: string;
  bytes: number;
  /** Unix milliseconds. */
  modified: number;
  /** Changes when the object does. */
  etag: string | null;
}

/**
 * The objects at `s3://bucket/prefix` of a bucket that is not ours, with this process's credentials, in the order of their
 * keys. A prefix is meant as a folder or as one object: `s3://b/scans` gives `scans` and all below `scans/`, never
 * `scans-old/…`. "Folders" that S3 consoles make (empty objects whose key ends in a slash) are left out.
 *
 * @throws BucketUrlError if it is no such URL
 * @throws BucketUnavailableError if the store fails
 */
export async function* listS3Inputs(url: string): AsyncGenerator<S3InputInfo> {
  const match = /^s3:\/\/([^/?#]+)(?:\/(.*))?$/s.exec(url);
  if (match === null) throw new BucketUrlError(`'${url}' is not of the form s3://bucket/prefix.`);
  const [, name = '', prefix = ''] = match;
  const location = parseS3Url(new URL(`s3://${name}`), process.env);
  const client = makeClient(location);
  try {
    let page: string | undefined;
    do {
      const answer = await client.send(
        new ListObjectsV2Command({ Bucket: location.bucket, Prefix: prefix, ContinuationToken: page }),
      );
      for (const { Key: key = '', Size: bytes = 0, LastModified: modified, ETag: etag } of answer.Contents ?? []) {
        const below = prefix === '' || prefix.endsWith('/') || key === prefix || key.startsWith(`${prefix}/`);
        if (!below || (key.endsWith('/') && bytes === 0)) continue;
        yield { url: `s3://${name}/${key}`, key, bytes, modified: modified?.getTime() ?? 0, etag: etag ?? null };
      }
      page = answer.IsTruncated === true ? answer.NextContinuationToken : undefined;
    } while (page !== undefined);
  } catch (error) {
    throw explain(error, location);
  } finally {
    client.destroy();
  }
}
