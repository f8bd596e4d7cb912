import { readdir, readlink } from 'node:fs/promises';
import { request } from 'node:http';
import { createFile } from '@batchmill/files';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../test-server.ts';

let server: TestServer;
let url: string;
let etag: string;

beforeAll(async () => {
  server = await startTestServer();
  url = await make('0123456789');
  etag = (await fetch(url)).headers.get('etag') ?? '';
});
afterAll(() => server.stop());

async function make(content: string | Buffer): Promise<string> {
  const source = (async function* () {
    yield Buffer.from(content);
  })();
  const file = await createFile(server.bucket, 'default', { filename: 'a', purpose: 'batch', source });
  return `${server.url}/v1/files/${file.id}/content`;
}

async function get(headers: Record<string, string>, at = url) {
  const response = await fetch(at, { headers });
  return { status: response.status, range: response.headers.get('content-range'), body: await response.text() };
}

test.each([
  ['bytes=0-3', '0123', 'bytes 0-3/10'],
  ['bytes=7-', '789', 'bytes 7-9/10'],
  ['bytes=-2', '89', 'bytes 8-9/10'],
  ['bytes=-99', '0123456789', 'bytes 0-9/10'],
  ['bytes=5-99', '56789', 'bytes 5-9/10'],
])('Range: %s gives a part', async (range, body, contentRange) => {
  expect(await get({ range })).toEqual({ status: 206, range: contentRange, body });
});

test.each(['bytes=0-1,3-4', 'items=0-1', 'bytes=5-2', 'bytes=', 'bytes=-', 'bytes=a-b', 'junk'])(
  'Range: %s is ignored',
  async (range) => {
    expect(await get({ range })).toEqual({ status: 200, range: null, body: '0123456789' });
  },
);

test.each(['bytes=10-', 'bytes=99-100', 'bytes=-0', `bytes=${'9'.repeat(400)}-`])('Range: %s is 416', async (range) => {
  const response = await get({ range });
  expect(response).toMatchObject({ status: 416, range: 'bytes */10' });
  expect(JSON.parse(response.body)).toMatchObject({ error: { code: 'range_not_satisfiable' } });
});

test('If-Range with the ETag resumes, with anything else starts over', async () => {
  expect(etag).toMatch(/^"file-[0-9a-f]{32}"$/);
  expect((await get({ range: 'bytes=8-', 'if-range': etag })).body).toBe('89');
  expect((await get({ range: 'bytes=8-', 'if-range': '"other"' })).status).toBe(200);
});

test('an empty file can be downloaded, but not in part', async () => {
  const empty = await make('');
  expect(await get({}, empty)).toEqual({ status: 200, range: null, body: '' });
  expect((await get({ range: 'bytes=0-' }, empty)).status).toBe(416);
});

test('HEAD tells size and name without a body', async () => {
  const response = await fetch(url, { method: 'HEAD' });
  expect(response.status).toBe(200);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'content-length': '10',
    'accept-ranges': 'bytes',
    'content-type': 'application/octet-stream',
    'x-content-type-options': 'nosniff',
  });
  expect(await response.text()).toBe('');
});

test('a client that hangs up leaves no file open', async () => {
  const big = await make(Buffer.alloc(20_000_000));
  const openFiles = async () => {
    const links = await Promise.all(
      (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
    );
    return links.filter((path) => path.startsWith(server.folder)).length;
  };
  const before = await openFiles();
  for (const hangUpAfter of ['response', 'data'] as const) {
    await new Promise<void>((resolve, reject) => {
      const download = request(big, (response) => {
        if (hangUpAfter === 'response') response.destroy();
        else response.once('data', () => response.destroy());
        response.on('close', () => resolve());
        response.on('error', () => {});
      });
      download.on('error', reject).end();
    });
  }
  await expect.poll(openFiles).toBe(before);
});
