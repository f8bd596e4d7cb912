import { S3ServiceException } from '@aws-sdk/client-s3';
import { BucketUnavailableError } from '../port.ts';
import type { S3Location } from './location.ts';

/** What S3 and servers like it say, in plain words with what to do. */
const WHAT_IS_WRONG: Readonly<Record<string, string>> = {
  NoSuchBucket: 'there is no such bucket; create it',
  AccessDenied: 'access is denied; give these credentials read, write, list and delete permission',
  InvalidAccessKeyId: 'the access key is unknown there; check AWS_ACCESS_KEY_ID and the endpoint',
  SignatureDoesNotMatch: 'the secret key is wrong; check AWS_SECRET_ACCESS_KEY',
  ExpiredToken: 'the credentials have expired; renew them',
  InvalidToken: 'the session token is not valid; check AWS_SESSION_TOKEN',
  RequestTimeTooSkewed: 'the clock of this machine is wrong',
  PermanentRedirect: 'the bucket is in another region; set region= in the URL',
  AuthorizationHeaderMalformed: 'the region is wrong; set region= in the URL',
  SlowDown: 'it asks for fewer requests; try again later',
  InsufficientStorage: 'its disks are full',
  XMinioStorageFull: 'its disks are full',
  CredentialsProviderError: 'no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
  TimeoutError: 'it does not answer; check the endpoint and the network',
  ECONNREFUSED: 'nothing listens at the endpoint; is the server running?',
  ECONNRESET: 'it broke the connection',
  EPIPE: 'it broke the connection',
  ENOTFOUND: 'the name of the endpoint is not known; check the endpoint and the region',
  EAI_AGAIN: 'the name of the endpoint cannot be looked up now; check the network',
  EHOSTUNREACH: 'the network has no way to it',
  ENETUNREACH: 'the network has no way to it',
  ETIMEDOUT: 'it does not answer; check the endpoint and the network',
};

/** The HTTP status of an answer that was an error, or `0` if there was no answer. */
export function statusOf(error: unknown): number {
  return error instanceof S3ServiceException ? (error.$metadata.httpStatusCode ?? 0) : 0;
}

/** The name S3 gives the error (`NoSuchKey`), or that of the failed system call (`ECONNREFUSED`), or `''`. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}

/** Turns what the SDK throws into a `BucketUnavailableError`. What is not about the store is passed on as it is. */
export function explain(error: unknown, location: S3Location): unknown {
  const code = codeOf(error);
  const status = statusOf(error);
  const known = WHAT_IS_WRONG[code];
  const fromNode = error instanceof Error && 'syscall' in error;
  if (known === undefined && status === 0 && !fromNode) return regionMissing(error) ?? error;
  const what = known ?? (status === 0 ? `the connection failed` : `it answered ${status}`);
  const detail = error instanceof Error && error.message !== '' && error.message !== code ? `: ${error.message}` : '';
  return new BucketUnavailableError(`The bucket ${location.url} cannot be used: ${what} (${code}${detail}).`, {
    cause: error,
  });
}

function regionMissing(error: unknown): BucketUnavailableError | undefined {
  if (!(error instanceof Error) || error.message !== 'Region is missing') return undefined;
  return new BucketUnavailableError('No region for the bucket: set region= in its URL, or AWS_REGION.', {
    cause: error,
  });
}
