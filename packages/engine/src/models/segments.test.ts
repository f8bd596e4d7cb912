import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { type ResolveOptions, resolveModel } from './index.ts';
import { left, planSegments } from './segments.ts';

test('segments cover what is left, once, in stretches of about one length', () => {
  fc.assert(
    fc.property(fc.nat(10_000), fc.nat(10_000), fc.integer({ min: 1, max: 16 }), (a, b, count) => {
      const [from, size] = [Math.min(a, b), Math.max(a, b)];
      const segments = planSegments(from, size, count);
      expect(left(segments)).toBe(size - from);
      let at = from;
      for (const segment of segments) {
        expect(segment.at).toBe(at);
        at = segment.end;
      }
      const lengths = segments.map((s) => s.end - s.at);
      expect(Math.max(0, ...lengths) - Math.min(...lengths, Math.max(0, ...lengths))).toBeLessThanOrEqual(1);
    }),
  );
});

describe('a large file', () => {
  const model = readFileSync(new URL('../../../../models/test/text.gguf', import.meta.url));
  const sha256 = createHash('sha256').update(model).digest('hex');
  let folder: string;
  let server: Server;
  let asked: { start: number; sent: number }[];
  let behaviour: { ranges: boolean; etag: string; content: Buffer; cutAfter: number };
  let options: ResolveOptions;
  let url: string;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'segments-'));
    asked = [];
    behaviour = { ranges: true, etag: '"one"', content: model, cutAfter: Number.POSITIVE_INFINITY };
    server = createServer(async (request, response) => {
      const { content, etag, ranges } = behaviour;
      const condition = request.headers['if-range'];
      const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1];
      const start =
        ranges && range !== undefined && (condition === undefined || condition === etag) ? Number(range) : 0;
      const one = { start, sent: 0 };
      asked.push(one);
      const head = start > 0 ? { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` } : {};
      response.writeHead(start > 0 ? 206 : 200, { etag, 'content-length': content.length - start, ...head });
      for (let at = start; at < content.length && !response.destroyed; at += 16_384) {
        const chunk = content.subarray(at, at + 16_384);
        response.write(chunk);
        one.sent += chunk.length;
        if (one.sent > behaviour.cutAfter) return void response.destroy();
        await sleep(1);
      }
      response.end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/model.gguf`;
    options = { cacheDir: join(folder, 'cache'), retryMs: 1, parallelBytes: 100_000, sha256 };
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true });
  });

  it('comes over eight connections, with progress, and is whole', async () => {
    const progress: number[] = [];
    const onProgress: ResolveOptions['onProgress'] = ({ receivedBytes }) => progress.push(receivedBytes);
    const path = await resolveModel(url, { ...options, onProgress });
    expect(readFileSync(path).equals(model)).toBe(true);
    expect(new Set(asked.map((one) => one.start)).size).toBe(8);
    expect(progress.at(-1)).toBe(model.length);
    expect(progress).toEqual(progress.toSorted((a, b) => a - b));
  });

  it('goes on in each stretch where it was, also in another process', async () => {
    behaviour.cutAfter = 40_000;
    const stop = new AbortController();
    const first = resolveModel(url, { ...options, retryMs: 60_000, signal: stop.signal });
    const refused = expect(first).rejects.toMatchObject({ code: 'aborted' });
    const kept = () => {
      const file = globSync(join(folder, 'cache', '*', '*.part.json'))[0];
      const { segments = [] } = file === undefined ? {} : JSON.parse(readFileSync(file, 'utf8') || '{}');
      return left(segments);
    };
    await expect.poll(kept, { timeout: 10_000 }).toBeGreaterThan(0);
    await expect.poll(kept, { timeout: 10_000 }).toBeLessThan(model.length - 40_000);
    stop.abort();
    await refused;
    const missing = kept();
    asked = [];
    behaviour.cutAfter = Number.POSITIVE_INFINITY;
    expect(readFileSync(await resolveModel(url, options)).equals(model)).toBe(true);
    // Connections are closed when their stretch is there: a little more was on its way.
    expect(asked.reduce((sum, one) => sum + one.sent, 0)).toBeLessThan(missing + asked.length * 300_000);
    expect(asked.every((one) => one.start > 0 || asked.length === 1)).toBe(true);
  });

  it('comes over one where the server knows no ranges', async () => {
    behaviour.ranges = false;
    expect(readFileSync(await resolveModel(url, options)).equals(model)).toBe(true);
  });

  it('that changes under way is fetched anew', async () => {
    behaviour = { ...behaviour, content: Buffer.alloc(model.length, 1), cutAfter: 40_000 };
    const path = resolveModel(url, options);
    await expect.poll(() => asked.length, { timeout: 10_000 }).toBeGreaterThan(8);
    behaviour = { ranges: true, etag: '"two"', content: model, cutAfter: Number.POSITIVE_INFINITY };
    expect(readFileSync(await path).equals(model)).toBe(true);
  });
});
