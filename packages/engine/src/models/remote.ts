import { EngineError } from '../port.ts';

/** A file somewhere else, to be copied here. */
export interface RemoteFile {
  /** For messages and logs: without credentials and query. */
  label: string;
  /** Name of the copy. */
  name: string;
  size: number | null;
  /** Lower-case hexadecimal; null when nobody told. */
  sha256: string | null;
  /**
   * Opens the file at `start`; at 0 instead when it cannot begin there or is no longer what `validator` named.
   * @throws EngineError when trying again is no use; any other error is worth another attempt.
   */
  open(start: number, validator: string | null, signal: AbortSignal): Promise<RemoteContent>;
}

export interface RemoteContent {
  /** Where `body` really starts. */
  start: number;
  /** Of the whole file; null when the server does not say. */
  size: number | null;
  /** Names this version of the file, so that a later attempt can go on with it; null when there is nothing to name it by. */
  validator: string | null;
  body: AsyncIterable<Uint8Array>;
}

/** Worth another attempt. */
export class TryAgain extends Error {
  /** The pause the server asked for. */
  readonly afterMs: number | null;
  /** What was received so far is of no use. */
  readonly fromStart: boolean;
  constructor(message: string, options: { afterMs?: number | null; fromStart?: boolean } = {}) {
    super(message);
    this.afterMs = options.afterMs ?? null;
    this.fromStart = options.fromStart ?? false;
  }
}

/** Reads an object of an object store from `start` on. The engine knows no bucket: who does hands this in. */
export type ReadObject = (
  url: string,
  start: number,
  signal: AbortSignal,
) => Promise<{ size: number; etag: string | null; body: AsyncIterable<Uint8Array> }>;

export function objectFile(url: string, readObject: ReadObject): RemoteFile {
  return {
    label: url,
    name: fileName(url),
    size: null,
    sha256: null,
    async open(start, validator, signal) {
      const object = await readObject(url, start, signal);
      if (start > 0 && (validator === null || object.etag !== validator)) {
        const fresh = await readObject(url, 0, signal);
        return { start: 0, size: fresh.size, validator: fresh.etag, body: fresh.body };
      }
      return { start, size: object.size, validator: object.etag, body: object.body };
    },
  };
}

/** A name that stays in its folder, whatever the address holds. Parts of a split model keep names that fit together. */
function fileName(path: string): string {
  const name = path
    .slice(path.lastIndexOf('/') + 1)
    .replace(/%[0-9a-f]{2}|[^\w.-]/gi, '_')
    .replace(/^\.+/, '');
  return name.toLowerCase().endsWith('.gguf') ? name : `${name || 'model'}.gguf`;
}

const MOST_REDIRECTS = 5;
const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/;

/**
 * Plain `http:` is for servers on this machine alone: elsewhere anyone on the way could put another model in place.
 * @throws EngineError `model_unusable`.
 */
export function checkUrl(url: URL): void {
  if (url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.test(url.hostname))) return;
  throw new EngineError('model_unusable', `${labelOf(url)}: models are fetched over https only`);
}

/** The address without credentials and query, which may hold a signature. */
export function labelOf(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** @param token sent as bearer token to the host of `url`, and to no other it redirects to. */
export function httpFile(url: URL, token: string | null, known: { size?: number; sha256?: string } = {}): RemoteFile {
  return {
    label: labelOf(url),
    name: fileName(url.pathname),
    size: known.size ?? null,
    sha256: known.sha256 ?? null,
    async open(start, validator, signal) {
      const headers: Record<string, string> = { 'accept-encoding': 'identity' };
      if (start > 0) {
        headers.range = `bytes=${start}-`;
        if (validator !== null) headers['if-range'] = validator;
      }
      const response = await get(url, headers, token, signal);
      const body = response.body;
      if (body === null) throw new TryAgain(`${labelOf(url)} answered nothing`);
      const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '');
      const length = response.headers.get('content-length');
      const whole = response.status === 206 ? range?.[2] : (length ?? undefined);
      return {
        start: response.status === 206 ? Number(range?.[1] ?? Number.NaN) : 0,
        size: whole === undefined || whole === '*' ? null : Number(whole),
        validator: validatorOf(response.headers),
        body,
      };
    },
  };
}

/** A weak ETag promises no equal bytes, and may not be used to go on with a file (RFC 9110, 13.1.5). */
function validatorOf(headers: Headers): string | null {
  const etag = headers.get('etag');
  if (etag !== null) return etag.startsWith('W/') ? null : etag;
  return headers.get('last-modified');
}

/**
 * GET, following redirects by hand: every hop must be safe, and the token stays with the first host.
 * @throws EngineError when the answer is final, TryAgain when it may change.
 */
export async function get(
  first: URL,
  headers: Record<string, string>,
  token: string | null,
  signal: AbortSignal,
): Promise<Response> {
  let url = first;
  for (let hop = 0; hop <= MOST_REDIRECTS; hop += 1) {
    checkUrl(url);
    const authorization = token !== null && url.host === first.host ? { authorization: `Bearer ${token}` } : {};
    const response = await fetch(url, { headers: { ...headers, ...authorization }, redirect: 'manual', signal });
    const location = response.headers.get('location');
    if (response.status >= 300 && response.status < 400 && location !== null) {
      await response.body?.cancel();
      url = new URL(location, url);
      continue;
    }
    if (response.status === 200 || response.status === 206) return response;
    await response.body?.cancel();
    refuse(first, response);
  }
  throw new EngineError('model_unusable', `${labelOf(first)} redirects without end`);
}

function refuse(url: URL, response: Response): never {
  const { status } = response;
  const label = labelOf(url);
  if (status === 416) throw new TryAgain(`${label} has no more bytes (HTTP 416)`, { fromStart: true });
  if (status === 408 || status === 429 || status >= 500) {
    const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
    throw new TryAgain(`${label} answered HTTP ${status}`, {
      afterMs: Number.isFinite(seconds) ? seconds * 1000 : null,
    });
  }
  const advice =
    status === 401 || status === 403
      ? ': is the address right, and may you read it? A gated or private Hugging Face model needs HF_TOKEN and its licence accepted'
      : status === 404 || status === 410
        ? ': there is no such file'
        : '';
  throw new EngineError('model_unusable', `${label} answered HTTP ${status}${advice}`);
}
