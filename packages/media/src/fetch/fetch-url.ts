import { lookup } from 'node:dns/promises';
import { open, rm } from 'node:fs/promises';
import { isIP, type LookupFunction } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { RequestError } from '@batchmill/contract';
import { Agent, request } from 'undici';
import { deadline } from '../deadline.ts';
import { type Allow, isAllowedAddress, isAllowedHost, parseAllow } from './address.ts';
import { decodedBody, TooManyBytesError, UnknownEncodingError } from './body.ts';

export interface FetchOptions {
  /** Bound of the body, after decompression. */
  maxBytes: number;
  /** Bound of everything: name, connection, redirects, body. */
  timeoutMs: number;
  signal?: AbortSignal;
  /** Also `http:` URLs. Off by default. */
  allowHttp?: boolean;
  /** Ports a URL may name, any at hosts named in `allow`. Default 443, 8443, and 80 with `allowHttp`. */
  ports?: readonly number[];
  /** What may be reached beside the public internet: see `parseAllow`. */
  allow?: readonly string[];
  /** All addresses of a name. Default: the system's resolver. */
  resolver?: (host: string) => Promise<string[]>;
}

export interface Fetched {
  bytes: Uint8Array;
  /** The `content-type` header as sent, or empty. Nobody should believe it. */
  contentType: string;
  finalUrl: string;
}

const MAX_REDIRECTS = 5;
const MAX_URL_LENGTH = 8_192;
/** Waits before the second and third attempt at a source that failed in a way that may pass. */
const RETRY_MS = [250, 1_000];

const systemResolver = async (host: string) =>
  (await lookup(host, { all: true, order: 'verbatim' })).map((a) => a.address);

/**
 * Fetches a URL that a stranger wrote. The request leaves only for addresses that `isAllowedAddress` accepts, on every
 * hop: a name is resolved once per connection, all its addresses are checked, and the connection goes to one of exactly
 * these, so that a second answer of the DNS changes nothing.
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
  const allow = parseAllow(options.allow ?? []);
  let target = checkUrl(url, null, allow, options);
  const time = deadline(options.timeoutMs, options.signal);
  const agent = new Agent({
    connect: { lookup: checkedLookup(allow, options.resolver ?? systemResolver), timeout: options.timeoutMs },
    headersTimeout: options.timeoutMs,
    bodyTimeout: options.timeoutMs,
    pipelining: 0,
  });
  try {
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const answer = await getWithRetries(target, agent, time.signal, options.maxBytes, sink);
      if (!('location' in answer)) return { ...answer, finalUrl: target.href };
      target = checkUrl(answer.location, target, allow, options);
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

/** Everything about a URL that can be judged without the network. */
function checkUrl(text: string, base: URL | null, allow: Allow, options: FetchOptions): URL {
  const url = text.length <= MAX_URL_LENGTH && URL.canParse(text, base?.href) ? new URL(text, base?.href) : null;
  if (url === null) throw new RequestError(400, 'The URL is not valid.', { code: 'url_not_allowed' });
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && options.allowHttp === true)) {
    throw new RequestError(400, `The URL must begin with https://${options.allowHttp === true ? ' or http://' : ''}.`, {
      code: 'url_not_allowed',
    });
  }
  if (base?.protocol === 'https:' && url.protocol === 'http:')
    throw refused(url, 'is an http:// redirect from https://');
  if (url.username !== '' || url.password !== '')
    throw refused(url, 'has a user name or password; put a signed URL instead');
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  const ports = options.ports ?? (options.allowHttp === true ? [443, 8443, 80] : [443, 8443]);
  if (!ports.includes(port) && !isAllowedHost(hostOf(url), allow))
    throw refused(url, `uses port ${port}; allowed are ${ports.join(', ')}`);
  // An address in the URL never reaches the lookup, so it is checked here. The URL parser has already turned decimal,
  // octal, hexadecimal and full-width forms into four decimal numbers.
  const host = hostOf(url);
  if (isIP(host) !== 0 && !isAllowedAddress(host, allow)) throw refused(url, 'is not a public address');
  return url;
}

function checkedLookup(allow: Allow, resolver: (host: string) => Promise<string[]>): LookupFunction {
  return (name, { all }, callback) => {
    const host = name.toLowerCase().replace(/\.$/, '');
    resolver(name)
      .then((addresses) => {
        const [first] = addresses;
        if (first === undefined) throw Object.assign(new Error('no address'), { code: 'ENOTFOUND' });
        const named = isAllowedHost(host, allow);
        // One bad address is enough: a name that is public and private at once is an attack or a mistake.
        if (!addresses.every((a) => isAllowedAddress(a, allow, named)))
          throw notAllowed(host, 'has an address that is not public');
        const found = addresses.map((address) => ({ address, family: isIP(address) }));
        if (all === true) callback(null, found);
        else callback(null, first, isIP(first));
      })
      .catch((error: NodeJS.ErrnoException) => callback(error, []));
  };
}

function hostOf(url: URL): string {
  return url.hostname
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase();
}

/** The guard's own refusal, which the client may have wrapped. */
function refusal(error: unknown): RequestError | null {
  for (let e = error; e instanceof Error; e = e.cause) if (e instanceof RequestError) return e;
  return null;
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

const notAllowed = (host: string, why: string) =>
  new RequestError(400, `The URL's host '${host}' ${why}.`, { code: 'url_not_allowed' });
const refused = (url: URL, why: string) =>
  new RequestError(400, `The URL at host '${url.hostname}' ${why}.`, { code: 'url_not_allowed' });
const failed = (url: URL, why: string, cause?: unknown) =>
  new RequestError(400, `The URL's host '${url.hostname}' ${why}.`, { code: 'url_fetch_failed', cause });
const tooLarge = (url: URL, maxBytes: number) =>
  new RequestError(400, `The file at host '${url.hostname}' is larger than ${maxBytes} bytes.`, {
    code: 'url_too_large',
  });
