import { fileURLToPath } from 'node:url';
import { FileBucket } from './file/bucket.ts';
import { measured } from './measured.ts';
import type { Bucket } from './port.ts';
import { parseS3Url } from './s3/location.ts';
import { BucketUrlError, withoutSecrets } from './url.ts';

export { BucketUrlError } from './url.ts';

/**
 * Opens a bucket:
 * - `file:///absolute/path`: a folder, made if there is none;
 * - `s3://bucket/prefix?region=…&endpoint=…&pathStyle=true&publicEndpoint=…`: S3 or a server that speaks it. Everything
 *   after the bucket may be left out. Credentials come from where AWS tools look for them (`AWS_ACCESS_KEY_ID` and
 *   `AWS_SECRET_ACCESS_KEY`, profiles, instance roles), the endpoint also from `BUCKET_ENDPOINT`, `AWS_ENDPOINT_URL_S3` or
 *   `AWS_ENDPOINT_URL`, the region also from `AWS_REGION`.
 *
 * Throws a `BucketUrlError` if the URL cannot be used, and a `BucketUnavailableError` if the folder cannot. An S3 server is
 * not asked anything yet: `check()` does that.
 */
export async function openBucket(url: string): Promise<Bucket> {
  const parsed = URL.parse(url);
  if (parsed?.protocol === 'file:') return measured(await FileBucket.open(folderOf(parsed)));
  if (parsed?.protocol === 's3:') {
    const location = parseS3Url(parsed, process.env);
    // The AWS SDK takes a tenth of a second to load.
    const { S3Bucket } = await import('./s3/bucket.ts');
    return measured(S3Bucket.open(location));
  }
  throw new BucketUrlError(
    `Not a bucket URL: ${JSON.stringify(withoutSecrets(url))}. Use file:///absolute/path or s3://bucket/prefix.`,
  );
}

function folderOf(url: URL): string {
  const bad = (why: string) => new BucketUrlError(`Bad bucket URL ${url.href}: ${why}. Use file:///absolute/path.`);
  if (url.search !== '' || url.hash !== '')
    throw bad('a file:// bucket takes no options; write a ? or # in a path as %3F or %23');
  if (url.host !== '') throw bad(`"${url.host}" is read as a host; a path begins after three slashes`);
  let path: string;
  try {
    path = fileURLToPath(url);
  } catch (error) {
    throw bad(error instanceof Error ? error.message : 'not a path');
  }
  const folder = path.replace(/\/+$/, '');
  if (folder.includes('\0')) throw bad('a path has no NUL');
  if (folder === '') throw bad('the root folder cannot be a bucket');
  return folder;
}
