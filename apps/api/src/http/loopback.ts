import { RequestError } from '@batchmill/contract';

/** True for names and addresses that only this machine can reach. `host` without port; IPv6 with or without brackets. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, '$1');
  if (name === 'localhost' || name.endsWith('.localhost') || name === '::1') return true;
  return /^127(\.\d{1,3}){3}$/.test(name);
}

/**
 * Guards a service without API keys against web pages open in a browser on the same machine: a page whose own name is
 * made to point at 127.0.0.1 (DNS rebinding) gives itself away by its `Host`, a form posted across sites by its `Origin`.
 *
 * @throws RequestError 403
 */
export function assertLocalRequest(host: string | undefined, origin: string | undefined): void {
  if (host === undefined || !isLoopback(hostname(`http://${host}`))) {
    throw refused(`the Host header is '${host ?? ''}'`);
  }
  if (origin !== undefined && !isLoopback(hostname(origin))) throw refused(`the Origin header is '${origin}'`);
}

function refused(why: string): RequestError {
  return new RequestError(
    403,
    `Without API keys this service answers local requests only, and ${why}. Use http://127.0.0.1, or create a key with 'batchmill keys create'.`,
    { code: 'not_local' },
  );
}

function hostname(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname : '';
}
