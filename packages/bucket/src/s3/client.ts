import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import type { S3Location } from './location.ts';

/**
 * How a request may take its time. A server that is gone refuses at once, or (a dead host) does not connect; one that hangs
 * sends nothing. With four tries, calls fail after about 2 s, 21 s and 90 s then. There is no limit for a whole request: a
 * part of an upload over a slow line is fine as long as bytes flow.
 */
const CONNECT_MS = 5_000;
const SILENCE_MS = 20_000;
const TRIES = 4;
/** A worker reads and writes tens of objects at a time, and each open `read` holds a socket until it is read or left. */
const SOCKETS = 128;

/** The client for a bucket; with `endpoint`, for the same bucket at another address. */
export function makeClient(location: S3Location, endpoint = location.endpoint): S3Client {
  const agent = { keepAlive: true, maxSockets: SOCKETS };
  const config: S3ClientConfig = {
    forcePathStyle: location.pathStyle,
    // Newer SDKs add CRC32 trailers to every upload and expect them on every download; many S3 servers know neither.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // "Expect: 100-continue" costs a round trip, and a new connection each, for every part of an upload.
    expectContinueHeader: false,
    followRegionRedirects: true,
    retryMode: 'standard',
    maxAttempts: TRIES,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      socketTimeout: SILENCE_MS,
      httpAgent: agent,
      httpsAgent: agent,
    },
  };
  if (location.region !== undefined) config.region = location.region;
  if (endpoint !== undefined) config.endpoint = endpoint;
  return new S3Client(config);
}
