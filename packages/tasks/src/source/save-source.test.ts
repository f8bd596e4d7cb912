import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newId, RequestError } from '@batchmill/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Source } from '../port.ts';
import type { SourceContext } from './read-source.ts';
import { saveSource } from './save-source.ts';

const content = Buffer.from('what is in the file, three times over');
const server = createServer((_, res) => res.end(content));
let folder: string;
let port: number;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'save-source-'));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  port = Number(Object(server.address()).port);
});
afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true });
});

const inPieces = (more: Partial<Source> = {}): Source => ({
  bytes: content.length,
  read: async () =>
    (async function* () {
      for (let i = 0; i < content.length; i += 10) yield content.subarray(i, i + 10);
    })(),
  ...more,
});
const id = newId('file-');
const context = (file: Source = inPieces()): SourceContext => ({
  openFile: async (name) => (name === id ? file : null),
  openObject: async (url) => {
    if (url === 's3://scans/1.pdf') return file;
    throw new RequestError(400, 'outside', { code: 'url_not_allowed' });
  },
  signal: new AbortController().signal,
});
const options = { maxBytes: 1_000, fetch: { timeoutMs: 10_000, allow: ['127.0.0.1'], allowHttp: true } };

describe('a source', () => {
  it('is written to disk, wherever it comes from', async () => {
    const sources = [
      `data:application/pdf;base64,${content.toString('base64')}`,
      id,
      's3://scans/1.pdf',
      `http://127.0.0.1:${port}/1.pdf`,
    ];
    for (const [i, source] of sources.entries()) {
      const file = join(folder, `whole-${i}`);
      expect(await saveSource(source, file, context(), options)).toBe(content.length);
      expect(await readFile(file)).toEqual(content);
    }
  });

  it.each([
    ['a path', '/etc/passwd', 'invalid_value'],
    ['a file URL', 'file:///etc/passwd', 'invalid_value'],
    ['a private address', 'https://169.254.169.254/', 'url_not_allowed'],
    ['an object outside the list', 's3://other/1.pdf', 'url_not_allowed'],
    ['a file that is not there', newId('file-'), 'file_not_found'],
    ['a broken data URL', 'data:nonsense', 'invalid_data_url'],
  ])('that is %s is refused', async (_, source, code) => {
    const file = join(folder, 'refused');
    await expect(saveSource(source, file, context(), options)).rejects.toMatchObject({
      name: 'RequestError',
      status: 400,
      code,
    });
    expect(existsSync(file)).toBe(false);
  });

  it('that is too large is refused, also if it said otherwise, and leaves nothing behind', async () => {
    const file = join(folder, 'large');
    const small = { ...options, maxBytes: 25 };
    const large = [
      [`data:,${content.toString('latin1').replaceAll(' ', '%20')}`, 'media_too_large'],
      [id, 'file_too_large'],
      ['s3://scans/1.pdf', 'file_too_large'],
      [`http://127.0.0.1:${port}/1.pdf`, 'url_too_large'],
    ];
    for (const [source = '', code] of large) {
      await expect(saveSource(source, file, context(), small)).rejects.toMatchObject({ status: 400, code });
      expect(existsSync(file)).toBe(false);
    }
    await expect(saveSource(id, file, context(inPieces({ bytes: 5 })), small)).rejects.toMatchObject({
      code: 'file_too_large',
    });
    expect(existsSync(file)).toBe(false);
  });

  it('that breaks off leaves nothing behind', async () => {
    const file = join(folder, 'broken');
    const reason = new Error('the bucket went away');
    const broken = inPieces({
      read: async () =>
        (async function* () {
          yield content;
          throw reason;
        })(),
    });
    await expect(saveSource(id, file, context(broken), options)).rejects.toBe(reason);
    expect(existsSync(file)).toBe(false);
  });

  it('is not read on when the item is not wanted any more', async () => {
    const file = join(folder, 'stopped');
    const reason = new Error('cancelled');
    const stop = new AbortController();
    const endless = inPieces({
      read: async () =>
        (async function* () {
          for (;;) {
            yield content.subarray(0, 1);
            stop.abort(reason);
            await new Promise((next) => setTimeout(next, 1));
          }
        })(),
    });
    await expect(saveSource(id, file, { ...context(endless), signal: stop.signal }, options)).rejects.toBe(reason);
    expect(existsSync(file)).toBe(false);
  });
});
