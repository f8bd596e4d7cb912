import { isKey } from '../keys.ts';
import { BucketUrlError, withoutSecrets } from '../url.ts';

/** Where a bucket is and how to talk to it. `undefined` leaves the choice to the AWS SDK. */
export interface S3Location {
  bucket: string;
  /** `''`, or ending in `/`. */
  prefix: string;
  region: string | undefined;
  endpoint: string | undefined;
  /** The endpoint as downloaders reach it, where that is another than ours (an S3 server inside a cluster). */
  publicEndpoint: string | undefined;
  pathStyle: boolean;
  /** The URL as given: it never holds a secret. */
  url: string;
}

const OPTIONS = ['region', 'endpoint', 'publicEndpoint', 'pathStyle'];
/** S3 allows 1024 bytes of key; ours take 900 (`checkKey`), and a `/` is between. */
const MAX_PREFIX = 120;
/** S3 "Bucket naming rules", without the rules for reserved beginnings. */
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/** Reads an `s3://` URL. Throws a `BucketUrlError` that says what is wrong. */
export function parseS3Url(url: URL, env: NodeJS.ProcessEnv): S3Location {
  const bad = (why: string) =>
    new BucketUrlError(
      `Bad bucket URL ${withoutSecrets(url.href)}: ${why}. Use s3://bucket/prefix?region=…&endpoint=https://…&pathStyle=true.`,
    );
  if (url.username !== '' || url.password !== '') {
    throw bad('credentials do not belong in it; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY');
  }
  if (url.port !== '') throw bad('a server goes into the option endpoint=');
  if (!BUCKET.test(url.hostname)) throw bad(`"${url.hostname}" is not the name of a bucket`);
  for (const name of url.searchParams.keys()) {
    if (!OPTIONS.includes(name)) throw bad(`there is no option "${name}", only ${OPTIONS.join(', ')}`);
  }
  const prefix = url.pathname.replace(/^\/+|\/+$/g, '');
  if (prefix !== '' && (!isKey(prefix) || prefix.length > MAX_PREFIX)) {
    throw bad(`the prefix may have segments of A-Z a-z 0-9 . _ = + - and at most ${MAX_PREFIX} characters`);
  }
  const pathStyle = option('pathStyle');
  if (pathStyle !== undefined && pathStyle !== 'true' && pathStyle !== 'false') throw bad('pathStyle is true or false');

  const own = option('endpoint') ?? (env.BUCKET_ENDPOINT || undefined);
  const publicEndpoint = option('publicEndpoint');
  for (const endpoint of [own, publicEndpoint]) {
    const protocol = endpoint === undefined ? 'https:' : URL.parse(endpoint)?.protocol;
    if (protocol !== 'https:' && protocol !== 'http:')
      throw bad(`the endpoint "${endpoint}" must be an http or https URL`);
  }
  const elsewhere = own ?? (env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL || undefined);
  return {
    bucket: url.hostname,
    prefix: prefix === '' ? '' : `${prefix}/`,
    // Servers other than AWS mostly take any region, and people leave it out.
    region: option('region') ?? (env.AWS_REGION || env.AWS_DEFAULT_REGION || (elsewhere && 'us-east-1') || undefined),
    endpoint: own,
    publicEndpoint,
    // Buckets as host names need DNS entries that servers other than AWS mostly do not have.
    pathStyle: pathStyle === undefined ? elsewhere !== undefined : pathStyle === 'true',
    url: url.href,
  };

  function option(name: string): string | undefined {
    return url.searchParams.get(name) || undefined;
  }
}
