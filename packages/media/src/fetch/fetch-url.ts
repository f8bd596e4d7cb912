import { open, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { RequestError } from '@batchmill/contract';
import { createGuard, type GuardOptions, refusal } from '@batchmill/guard';
import { Agent, request } from 'undici';
import { deadline } from '../deadline.ts';
import { decodedBody, TooManyBytesError, UnknownEncodingError } from './body.ts';

export interface FetchOptions extends GuardOptions {
  /** Bound of the body, after decompression. */
  maxBytes: number;
  /** Bound of everything: name, connection, redirects, body. */
  timeoutMs: number;
  signal?: AbortSignal;
}

export interface Fetched {
  bytes: Uint8Array;
  /** The `content-type` header as sent, or empty. Nobody should believe it. */
  contentType: string;
  finalUrl: string;
}

const MAX_REDIRECTS = 5;
/** Waits before the second and third attempt at a source that failed in a way that may pass. */
const RETRY_MS = [250, 1_000];

/**
 * Fetches a URL that a stranger wrote. The request leaves only for addresses that the guard accepts, on every hop.
 * @throws RequestError 400 `url_not_allowed` (scheme, port, credentials, address), `url_too_large`, or
 *   `url_fetch_failed` (no answer, wrong status, time). Messages name the host, never credentials, path or query.
 *   If `options.signal` aborts, its reason is thrown.
 */
export async function fetchUrl(url: string, options: FetchOptions): Promise<Fetched> {
  const { value, ...from } = await readUrl(url, options, collect);
  return { bytes: value, ...from };
}

async function collect(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  return Buffer.concat(pieces);
}

export interface Saved extends Pick<Fetched, 'contentType' | 'finalUrl'> {
  /** Size of the file. */
  bytes: number;
}

/**
 * Fetches a URL that a stranger wrote into a file, which is made or written over, in memory for no more than a piece of it.
 * The file is gone if that fails.
 * @throws RequestError as `fetchUrl`; the error of the disk as it is.
 */
export async function saveUrl(url: string, file: string, options: FetchOptions): Promise<Saved> {
  try {
    const { value, ...from } = await readUrl(url, options, (body) => writeFile(file, body));
    return { bytes: value, ...from };
  } catch (error) {
    await rm(file, { force: true });
    throw error instanceof DiskError ? error.cause : error;
  }
}

/** An error of ours while the body was coming in, not one of the source's. */
class DiskError extends Error {}
const ofDisk = (error: unknown): never => {
  throw new DiskError('the file cannot be written', { cause: error });
};

/** Each attempt begins the file anew. */
async function writeFile(path: string, body: AsyncIterable<Uint8Array>): Promise<number> {
  const file = await open(path, 'w').catch(ofDisk);
  try {
    let bytes = 0;
    for await (const piece of body) {
      await file.writeFile(piece).catch(ofDisk);
      bytes += piece.length;
    }
    return bytes;
  } finally {
    await file.close().catch(ofDisk);
  }
}

/** What is done with a body. */
type Sink<T> = (body: AsyncIterable<Uint8Array>) => Promise<T>;

interface Read<T> {
  value: T;
  contentType: string;
}

async function readUrl<T>(url: string, options: FetchOptions, sink: Sink<T>): Promise<Read<T> & { finalUrl: string }> {
  const guard = createGuard(options);
  let target = guard.check(url);
  const time = deadline(options.timeoutMs, options.signal);
  const agent = new Agent({
    connect: { lookup: guard.lookup, timeout: options.timeoutMs },
    headersTimeout: options.timeoutMs,
    bodyTimeout: options.timeoutMs,
    pipelining: 0,
  });
  try {
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const answer = await getWithRetries(target, agent, time.signal, options.maxBytes, sink);
      if (!('location' in answer)) return { ...answer, finalUrl: target.href };
      target = guard.check(answer.location, target);
    }
    throw failed(target, `redirects more than ${MAX_REDIRECTS} times`);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (time.expired()) throw failed(target, `did not deliver within ${options.timeoutMs / 1000} s`);
    throw error;
  } finally {
    time.clear();
    await agent.destroy();
  }
}

type Answer<T> = Read<T> | { location: string };

async function getWithRetries<T>(
  url: URL,
  agent: Agent,
  signal: AbortSignal,
  maxBytes: number,
  sink: Sink<T>,
): Promise<Answer<T>> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await get(url, agent, signal, maxBytes, sink);
    } catch (error) {
      if (error instanceof RequestError || error instanceof DiskError || signal.aborted) throw error;
      const wait = RETRY_MS[attempt];
      if (!(error instanceof MayPass)) throw failed(url, reasonOf(error), error);
      if (wait === undefined) throw failed(url, error.message, error);
      await sleep(wait, undefined, { signal });
    }
  }
}

/** A failure of the source that another attempt may not meet. */
class MayPass extends Error {}

async function get<T>(
  url: URL,
  agent: Agent,
  signal: AbortSignal,
  maxBytes: number,
  sink: Sink<T>,
): Promise<Answer<T>> {
  const response = await request(url, {
    dispatcher: agent,
    signal,
    headers: { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': 'batchmill' },
  }).catch((error: unknown) => {
    throw refusal(error) ?? (isTransient(error) ? new MayPass(reasonOf(error), { cause: error }) : error);
  });
  const { statusCode: status, headers, body } = response;
  const header = (name: string) => [headers[name] ?? ''].flat()[0] ?? '';
  // The socket may report an error after we have stopped listening to the body; it concerns nobody.
  body.on('error', () => {});
  if (status < 200 || status >= 300) {
    body.destroy();
    const location = header('location');
    if ([301, 302, 303, 307, 308].includes(status) && location !== '') return { location };
    if (status === 429 || status >= 500) throw new MayPass(`answers with status ${status}`);
    throw failed(url, `answers with status ${status}`);
  }
  if (Number(header('content-length')) > maxBytes) {
    body.destroy();
    throw tooLarge(url, maxBytes);
  }
  try {
    const value = await sink(decodedBody(body, header('content-encoding'), maxBytes));
    return { value, contentType: header('content-type') };
  } catch (error) {
    if (error instanceof TooManyBytesError) throw tooLarge(url, maxBytes);
    if (error instanceof UnknownEncodingError)
      throw failed(url, `sends the content encoding '${error.message.slice(0, 32)}', which is not supported`);
    throw isTransient(error) ? new MayPass(reasonOf(error), { cause: error }) : error;
  }
}

const BROKE_OFF = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET', 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH']);

const TRANSIENT = new Set([
  ...BROKE_OFF,
  'ECONNREFUSED',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function isTransient(error: unknown): boolean {
  return TRANSIENT.has(codeOf(error));
}

/** A failure in words that hold nothing of the URL. */
function reasonOf(error: unknown): string {
  const code = codeOf(error);
  if (code === 'ENOTFOUND') return 'has no address (unknown host)';
  if (code === 'ECONNREFUSED') return 'refuses the connection';
  if (BROKE_OFF.has(code)) return 'broke the connection';
  if (/CERT|SSL|TLS/.test(code)) return `has a certificate that is not trusted (${code})`;
  return `cannot be fetched${code === '' ? '' : ` (${code})`}`;
}

const failed = (url: URL, why: string, cause?: unknown) =>
  new RequestError(400, `The URL's host '${url.hostname}' ${why}.`, { code: 'url_fetch_failed', cause });
const tooLarge = (url: URL, maxBytes: number) =>
  new RequestError(400, `The file at host '${url.hostname}' is larger than ${maxBytes} bytes.`, {
    code: 'url_too_large',
  });
