import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { RequestError } from '@batchmill/contract';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FetchOptions, fetchUrl } from './fetch-url.ts';

const MIB = 2 ** 20;
const BOMB = gzipSync(Buffer.alloc(64 * MIB));
const servers: Server[] = [];
let port: number;
let hits: string[] = [];

const listen = async (server: Server): Promise<number> => {
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address() as AddressInfo;
  return address.port;
};

const redirect =
  (to: string): RequestListener =>
  (_, res) =>
    res.writeHead(302, { location: to }).end();

const routes: Record<string, RequestListener> = {
  '/ok': (_, res) => res.setHeader('content-type', 'image/png').end('hello'),
  '/gzip': (_, res) => res.setHeader('content-encoding', 'gzip').end(gzipSync('hello')),
  '/br': (_, res) => res.setHeader('content-encoding', 'br').end(brotliCompressSync('hello')),
  '/zstd': (_, res) => res.setHeader('content-encoding', 'zstd').end(zstdCompressSync('hello')),
  '/compress': (_, res) => res.setHeader('content-encoding', 'compress').end('hello'),
  '/bad-gzip': (_, res) => res.setHeader('content-encoding', 'gzip').end('not gzip'),
  '/bomb': (_, res) => res.setHeader('content-encoding', 'gzip').end(BOMB),
  '/declared': (_, res) => res.writeHead(200, { 'content-length': 2 * MIB }).end(Buffer.alloc(2 * MIB)),
  '/chunked': (_, res) => {
    for (let i = 0; i < 32; i++) res.write(Buffer.alloc(MIB / 16));
    res.end();
  },
  '/short': (_, res) => {
    res.writeHead(200, { 'content-length': 100 }).write('x');
    res.destroy();
  },
  '/slow-headers': () => {},
  '/slow-body': (_, res) => {
    res.write('x');
    const drip = setInterval(() => res.write('x'), 20);
    res.on('close', () => clearInterval(drip));
  },
  '/missing': (_, res) => res.writeHead(404).end(),
  '/broken': (_, res) => res.writeHead(503).end(),
  '/redirect': redirect('/ok'),
  '/to-loopback': redirect('http://127.0.0.1/'),
  '/to-metadata': redirect('http://169.254.169.254/latest/meta-data/'),
  '/to-private-name': redirect('http://private.example/'),
  '/to-file': redirect('file:///etc/passwd'),
  '/loop': redirect('/loop'),
};
let flaky = 0;
routes['/flaky'] = (_, res) => (flaky++ === 0 ? res.writeHead(503).end() : res.end('hello'));

beforeAll(async () => {
  port = await listen(
    createServer((req, res) => {
      const { pathname } = new URL(req.url ?? '/', 'http://x');
      hits.push(`${req.headers.host} ${pathname}`);
      routes[pathname]?.(req, res);
    }),
  );
});
afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

/** Names answered by the test's resolver; the rest of the world does not exist. */
const names: Record<string, string[]> = {
  'source.example': ['127.0.0.1'],
  'private.example': ['10.0.0.1'],
  'mixed.example': ['93.184.216.34', '127.0.0.1'],
  'mapped.example': ['::ffff:127.0.0.1'],
  'metadata.example': ['169.254.169.254'],
};
const resolver = async (host: string) => {
  const found = names[host];
  if (found === undefined) throw Object.assign(new Error('unknown'), { code: 'ENOTFOUND' });
  return found;
};

const get = (url: string, options: Partial<FetchOptions> = {}) =>
  fetchUrl(url, {
    maxBytes: MIB,
    timeoutMs: 5_000,
    allowHttp: true,
    ports: [port, 80, 443],
    allow: ['source.example'],
    resolver,
    ...options,
  });
const at = (path: string) => `http://source.example:${port}${path}`;
const refused = (code: string, message?: RegExp) =>
  expect.objectContaining({
    name: 'RequestError',
    status: 400,
    code,
    ...(message ? { message: expect.stringMatching(message) } : {}),
  });

describe('fetchUrl', () => {
  it('fetches from a source the operator allowed', async () => {
    const { bytes, contentType, finalUrl } = await get(at('/ok?sig=1'));
    expect(Buffer.from(bytes).toString()).toBe('hello');
    expect(contentType).toBe('image/png');
    expect(finalUrl).toBe(at('/ok?sig=1'));
  });

  it.each(['/gzip', '/br', '/zstd'])('undoes the encoding of %s', async (path) => {
    expect(Buffer.from((await get(at(path))).bytes).toString()).toBe('hello');
  });

  it('refuses what it cannot decode', async () => {
    await expect(get(at('/compress'))).rejects.toEqual(refused('url_fetch_failed', /compress/));
    await expect(get(at('/bad-gzip'))).rejects.toEqual(refused('url_fetch_failed'));
  });

  it.each(['/declared', '/chunked', '/bomb'])('stops %s at the size limit', async (path) => {
    const before = process.memoryUsage().arrayBuffers;
    await expect(get(at(path))).rejects.toEqual(refused('url_too_large', /source\.example.*1048576 bytes/));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * MIB);
  });

  it.each(['/slow-headers', '/slow-body'])('bounds the whole time of %s', async (path) => {
    const started = performance.now();
    await expect(get(at(path), { timeoutMs: 300 })).rejects.toEqual(refused('url_fetch_failed', /within 0\.3 s/));
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it('gives the caller’s reason when the caller aborts', async () => {
    const reason = new Error('cancelled');
    const abort = new AbortController();
    setTimeout(() => abort.abort(reason), 50);
    await expect(get(at('/slow-body'), { signal: abort.signal })).rejects.toBe(reason);
    await expect(get(at('/ok'), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it('says which status came, and tries again what may pass', async () => {
    hits = [];
    await expect(get(at('/missing'))).rejects.toEqual(refused('url_fetch_failed', /status 404/));
    expect(hits).toHaveLength(1);
    await expect(get(at('/broken'))).rejects.toEqual(refused('url_fetch_failed', /status 503/));
    expect(hits).toHaveLength(4);
    expect(Buffer.from((await get(at('/flaky'))).bytes).toString()).toBe('hello');
    await expect(get(at('/short'))).rejects.toEqual(refused('url_fetch_failed', /broke the connection/));
    await expect(get('http://nowhere.example/')).rejects.toEqual(refused('url_fetch_failed', /unknown host/));
  });

  it('follows redirects and checks each of them', async () => {
    expect((await get(at('/redirect'))).finalUrl).toBe(at('/ok'));
    for (const path of ['/to-loopback', '/to-metadata', '/to-private-name', '/to-file'])
      await expect(get(at(path)), path).rejects.toEqual(refused('url_not_allowed'));
    await expect(get(at('/loop'))).rejects.toEqual(refused('url_fetch_failed', /more than 5/));
  });

  it('refuses names that lead inside, without connecting', async () => {
    hits = [];
    for (const host of ['private', 'mixed', 'mapped', 'metadata'])
      await expect(get(`http://${host}.example:${port}/ok`), host).rejects.toEqual(
        refused('url_not_allowed', new RegExp(`'${host}\\.example'`)),
      );
    await expect(get(`http://metadata.example/`, { allow: ['metadata.example'] })).rejects.toEqual(
      refused('url_not_allowed'),
    );
    expect(hits).toEqual([]);
  });

  it('asks the resolver once per connection and goes only where that answer said', async () => {
    const answers = [['127.0.0.1'], ['10.0.0.1']];
    let asked = 0;
    const rebinding = async () => answers[asked++] ?? [];
    const options = { allow: ['127.0.0.1'], resolver: rebinding };
    expect(Buffer.from((await get(`http://rebind.example:${port}/ok`, options)).bytes).toString()).toBe('hello');
    expect(asked).toBe(1);
    await expect(get(`http://rebind.example:${port}/ok`, options)).rejects.toEqual(refused('url_not_allowed'));
    // The first answer is public, the second would be ours: the connection stays with the first.
    asked = 0;
    hits = [];
    const turned = async () => [['203.0.114.1'], ['127.0.0.1']][asked++] ?? ['127.0.0.1'];
    await expect(
      get(`http://rebind.example:${port}/ok`, { allow: [], resolver: turned, timeoutMs: 300 }),
    ).rejects.toBeInstanceOf(RequestError);
    expect(hits).toEqual([]);
  });

  it.each([
    'ftp://source.example/',
    'file:///etc/passwd',
    'data:text/plain,x',
    'javascript:1',
    'not a url',
    '',
    'https://',
    'http://elsewhere.example:22/',
    'http://user:secret@source.example/',
    'http://user@source.example/',
    `https://a.example/${'x'.repeat(9_000)}`,
    'http://localhost./',
    'http://[::1]/',
    'http://[::ffff:7f00:1]/',
    'http://127.1/',
    'http://2130706433/',
    'http://0x7f.0.0.1/',
    'http://0177.0.0.1/',
    'http://１２７.０.０.１/',
    'http://127.0.0.1./',
  ])('refuses %s', async (url) => {
    names.localhost = ['127.0.0.1'];
    names['localhost.'] = ['127.0.0.1'];
    await expect(get(url)).rejects.toEqual(refused('url_not_allowed'));
  });

  it('refuses every way to write an inner IPv4 address', async () => {
    const inner = fc.oneof(
      fc.tuple(fc.constant(127), fc.nat(255), fc.nat(255), fc.nat(255)),
      fc.tuple(fc.constant(10), fc.nat(255), fc.nat(255), fc.nat(255)),
      fc.tuple(fc.constant(192), fc.constant(168), fc.nat(255), fc.nat(255)),
      fc.constant<[number, number, number, number]>([169, 254, 169, 254]),
    );
    const part = fc.constantFrom(
      (n: number) => String(n),
      (n: number) => `0x${n.toString(16)}`,
      (n: number) => `0${n.toString(8)}`,
    );
    await fc.assert(
      fc.asyncProperty(inner, part, fc.nat(3), async ([a, b, c, d], write, merged) => {
        // The last part of an IPv4 host may stand for several bytes.
        const bytes = [a, b, c, d];
        const kept = bytes.slice(0, 3 - merged).map(write);
        const last = write(bytes.slice(3 - merged).reduce((n, x) => n * 256 + x, 0));
        const host = [...kept, last].join('.');
        await expect(get(`http://${host}/`), host).rejects.toEqual(refused('url_not_allowed'));
      }),
      { numRuns: 200 },
    );
  });

  it('opens every port of a host the operator named, and of no other', async () => {
    const options = { allow: ['127.0.0.1', 'source.example'], ports: [443] };
    for (const host of ['127.0.0.1', 'source.example'])
      expect(Buffer.from((await get(`http://${host}:${port}/ok`, options)).bytes).toString()).toBe('hello');
    names['other.example'] = ['127.0.0.1'];
    await expect(get(`http://other.example:${port}/ok`, options)).rejects.toEqual(refused('url_not_allowed', /port/));
    await expect(get(`http://127.0.0.1:${port}/ok`, { allow: ['127.0.0.0/8'], ports: [443] })).rejects.toEqual(
      refused('url_not_allowed', /port/),
    );
  });

  it('takes https alone unless told otherwise, and never says more than the host', async () => {
    const secret = `http://source.example:${port}/path-s3cret?sig=s3cret`;
    await expect(get(secret, { allowHttp: false })).rejects.toEqual(refused('url_not_allowed', /https:/));
    for (const url of [secret, 'https://u:s3cret@a.example/s3cret', `http://source.example:1/s3cret?s3cret`]) {
      const error = await get(url, { timeoutMs: 200 }).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(RequestError);
      expect(String(error)).not.toContain('s3cret');
    }
  });

  it('connects with TLS and refuses a certificate nobody signed', async () => {
    const tls = await listen(createTlsServer({ key: KEY, cert: CERT }, (_, res) => res.end('hello')));
    await expect(get(`https://source.example:${tls}/`, { ports: [tls] })).rejects.toEqual(
      refused('url_fetch_failed', /certificate/),
    );
  });
});

/** A self-signed certificate for `localhost`, for the test above alone. */
const CERT = `-----BEGIN CERTIFICATE-----
MIIBljCCATugAwIBAgIUL+ayYk4QKhUICfN74p0ch2jvGZ8wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDE5NTE1MFoYDzIxMjYxMDMx
MTk1MTUwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQfysDWFpcSeQKzZ+pN1pKdwn5fi1uZn5VlyQAh/s2UXtuGIrePU/c/
nY4CWCdYD1Hj2xeACdKpHdQZ71niL9abo2kwZzAdBgNVHQ4EFgQUg1eV2e/gnSzK
U8fOj2hNV36h/AgwHwYDVR0jBBgwFoAUg1eV2e/gnSzKU8fOj2hNV36h/AgwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
SQAwRgIhANgZNYfzgxwzqPQHAvWT+aVo4bJAiTJXrn/1d8jJIGkyAiEAypp6BFir
7045kuy11uH8AyxJueddYlDY1Dx7G/+qvKU=
-----END CERTIFICATE-----`;
const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXOar7Vv9nKUE/Ish
aj65/BQ04kZqFwRZZhP2n1+jbdqhRANCAAQfysDWFpcSeQKzZ+pN1pKdwn5fi1uZ
n5VlyQAh/s2UXtuGIrePU/c/nY4CWCdYD1Hj2xeACdKpHdQZ71niL9ab
-----END PRIVATE KEY-----`;
