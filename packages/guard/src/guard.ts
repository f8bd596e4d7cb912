import { lookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { RequestError } from '@batchmill/contract';
import { type Allow, isAllowedAddress, isAllowedHost, parseAllow } from './address.ts';

export interface GuardOptions {
  /** Also `http:` URLs. Off by default. */
  allowHttp?: boolean;
  /** Ports a URL may name, any at hosts named in `allow`. Default 443, 8443, and 80 with `allowHttp`. */
  ports?: readonly number[];
  /** What may be reached beside the public internet: see `parseAllow`. */
  allow?: readonly string[];
  /** All addresses of a name. Default: the system's resolver. */
  resolver?: (host: string) => Promise<string[]>;
}

/** Stands between a URL that a stranger wrote and the network. */
export interface Guard {
  /**
   * Everything about a URL that can be judged without the network: scheme, port, credentials, an address as its host.
   * `base`: the URL that redirects to this one.
   * @throws RequestError 400 `url_not_allowed`. Messages name the host, never credentials, path or query.
   */
  check(text: string, base?: URL | null): URL;
  /**
   * For `connect` of an HTTP client: a name is resolved once per connection, all its addresses are checked, and the
   * connection goes to one of exactly these, so that a second answer of the DNS changes nothing.
   */
  readonly lookup: LookupFunction;
}

const MAX_URL_LENGTH = 8_192;

const systemResolver = async (host: string) =>
  (await lookup(host, { all: true, order: 'verbatim' })).map((a) => a.address);

/** @throws Error that names the entry of `allow` which is not understood. */
export function createGuard(options: GuardOptions): Guard {
  const allow = parseAllow(options.allow ?? []);
  return {
    check: (text, base = null) => checkUrl(text, base, allow, options),
    lookup: checkedLookup(allow, options.resolver ?? systemResolver),
  };
}

function checkUrl(text: string, base: URL | null, allow: Allow, options: GuardOptions): URL {
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
          throw new RequestError(400, `The URL's host '${host}' has an address that is not public.`, {
            code: 'url_not_allowed',
          });
        const found = addresses.map((address) => ({ address, family: isIP(address) }));
        if (all === true) callback(null, found);
        else callback(null, first, isIP(first));
      })
      .catch((error: NodeJS.ErrnoException) => callback(error, []));
  };
}

/** The host of a URL as names and addresses are compared: lower case, without brackets or trailing dot. */
export function hostOf(url: URL): string {
  return url.hostname
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase();
}

/** The guard's own refusal, which an HTTP client may have wrapped; `null` if the error is another one. */
export function refusal(error: unknown): RequestError | null {
  for (let e = error; e instanceof Error; e = e.cause) if (e instanceof RequestError) return e;
  return null;
}

const refused = (url: URL, why: string) =>
  new RequestError(400, `The URL at host '${url.hostname}' ${why}.`, { code: 'url_not_allowed' });
