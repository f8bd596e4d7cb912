import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FetchOptions, saveUrl } from './fetch-url.ts';

const MIB = 2 ** 20;
const PIECE = Buffer.alloc(MIB, 'abcdefg');
const PIECES = 192;
const GZIPPED = gzipSync(Buffer.alloc(64 * MIB, 'abcdefg'));
let folder: string;
let file: string;
let base: string;
let attempts = 0;
const server = createServer((request, response) => {
  if (request.url === '/large') void sendLarge(response);
  else if (request.url === '/gzip') response.setHeader('content-encoding', 'gzip').end(GZIPPED);
  else if (request.url === '/breaks-once' && attempts++ === 0) {
    response.writeHead(200, { 'content-length': 100 }).write('longer than hello');
    setTimeout(() => response.destroy(), 50);
  } else if (request.url === '/breaks-once') response.end('hello');
  else if (request.url === '/closes')
    response.setHeader('connection', 'close').end(Buffer.concat(Array.from({ length: 8 }, () => PIECE)));
  else if (request.url === '/drips') response.write('x');
  else response.writeHead(404).end();
});

async function sendLarge(response: ServerResponse): Promise<void> {
  for (let i = 0; i < PIECES; i++) if (!response.write(PIECE)) await once(response, 'drain').catch(() => {});
  response.end();
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'save-url-'));
  file = join(folder, 'file');
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

const save = (path: string, options: Partial<FetchOptions> = {}) =>
  saveUrl(base + path, file, {
    maxBytes: 256 * MIB,
    timeoutMs: 30_000,
    allowHttp: true,
    allow: ['127.0.0.1'],
    ...options,
  });
const error = (code: string) => expect.objectContaining({ name: 'RequestError', status: 400, code });

describe('saveUrl', () => {
  it.each([
    ['/large', PIECES],
    ['/gzip', 64],
  ])('saves %s without holding it in memory', async (path, mebibytes) => {
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }, 5);
    expect(await save(path)).toMatchObject({ bytes: mebibytes * MIB, finalUrl: base + path });
    clearInterval(watch);
    // Garbage counts until it is collected.
    expect(most).toBeLessThan(100 * MIB);
    expect((await stat(file)).size).toBe(mebibytes * MIB);
    const saved = await readFile(file);
    expect(saved.subarray(-7).toString()).toMatch(/^[a-g]{7}$/);
    expect(saved.subarray(0, MIB).equals(PIECE)).toBe(true);
  });

  it('survives a source that closes the connection while its bytes are still being written', async () => {
    // Undici 7 crashes the process here (nodejs/undici#5360).
    for (let i = 0; i < 3; i++) expect(await save('/closes')).toMatchObject({ bytes: 8 * MIB });
  });

  it('begins anew when the source broke off', async () => {
    expect(await save('/breaks-once')).toMatchObject({ bytes: 5 });
    expect(await readFile(file, 'utf8')).toBe('hello');
    expect(attempts).toBe(2);
  });

  it('leaves nothing behind when it fails', async () => {
    for (const path of ['/large', '/gzip'])
      await expect(save(path, { maxBytes: MIB })).rejects.toEqual(error('url_too_large'));
    await expect(save('/drips', { timeoutMs: 200 })).rejects.toEqual(error('url_fetch_failed'));
    await expect(save('/missing')).rejects.toEqual(error('url_fetch_failed'));
    await expect(save('/large', { allow: [] })).rejects.toEqual(error('url_not_allowed'));
    const reason = new Error('cancelled');
    const abort = new AbortController();
    setTimeout(() => abort.abort(reason), 50);
    await expect(save('/drips', { signal: abort.signal })).rejects.toBe(reason);
    expect(await readdir(folder)).toEqual([]);
  });

  it('does not blame the source for a disk that cannot be written', async () => {
    const nowhere = saveUrl(`${base}/large`, join(folder, 'missing', 'file'), {
      maxBytes: 256 * MIB,
      timeoutMs: 30_000,
      allowHttp: true,
      allow: ['127.0.0.1'],
    });
    await expect(nowhere).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
