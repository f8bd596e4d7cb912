import { rename } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createFile } from '@batchmill/files';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from './test-server.ts';

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer();
});
afterEach(() => server.stop());

/** Sends bytes as they are and gives what comes back until the server closes or falls silent. */
function raw(bytes: string): Promise<string> {
  const { port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1', () => socket.write(bytes));
    let answer = '';
    socket.setEncoding('utf8').setTimeout(1_000, () => socket.destroy());
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('error', reject).on('close', () => resolve(answer));
  });
}

const get = (target: string, headers = 'host: 127.0.0.1\r\n') =>
  raw(`GET ${target} HTTP/1.1\r\n${headers}connection: close\r\n\r\n`);

function body(answer: string): unknown {
  return JSON.parse(answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1));
}

describe('hostile requests get an error in the usual shape', () => {
  test.each([
    '/v1/files/..',
    '/v1/files/../../keys',
    '/v1/files/%2e%2e',
    '/v1/files/%2e%2e%2f%2e%2e%2fkeys/content',
    '/v1/files/..%2f..%2fkeys%2fx.json',
    '/v1/files/..%5c..%5ckeys',
    '/v1/files/%252e%252e%252f',
    '/v1/files/file-%00',
    '/v1/files/%',
    '/v1/files/%ff%fe',
    '/v1/files//content',
    '/v1/files/a/b',
    '/v1/files/__proto__',
    '/v1/batches/constructor',
    '/docs/../package.json',
    '/docs/%2e%2e/package.json',
    '/docs/swagger-ui.js.map',
    '/V1/FILES',
    '//v1/files',
    '/v1/files/',
  ])('%s', async (target) => {
    const answer = await get(target);
    expect(answer).toMatch(/^HTTP\/1\.1 404 /);
    expect(answer).toMatch(/^x-request-id: req_[0-9a-f]{32}\r$/m);
    expect(body(answer)).toEqual({
      error: {
        message: expect.any(String),
        type: expect.any(String),
        param: expect.toSatisfy(() => true),
        code: expect.toSatisfy(() => true),
      },
    });
  });

  test.each([
    ['a backslash in the path', get, '/v1\\files', 400],
    ['a broken Host', (target: string) => get(target, 'host: a b/c?\r\n'), '/v1/files', 400],
    ['no Host', (target: string) => get(target, ''), '/v1/files', 400],
    [
      'headers of 100 kB',
      (target: string) => get(target, `host: x\r\nx-big: ${'a'.repeat(100_000)}\r\n`),
      '/v1/files',
      431,
    ],
    ['what is not HTTP', raw, '\x16\x03\x01\x02\r\n\r\n', 400],
  ])('%s', async (_name, send, target, status) => {
    const answer = await send(target);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  });

  test('an absolute target cannot smuggle another host past the check', async () => {
    const answer = await get('http://evil.example/v1/files', 'host: evil.example\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 403 /);
  });

  test('a malformed request from the parser still says what and which', async () => {
    const answer = await get('/v1/files', `host: x\r\nx-big: ${'a'.repeat(100_000)}\r\n`);
    expect(body(answer)).toMatchObject({
      error: { type: 'invalid_request_error', message: expect.stringMatching(/headers.*too large/) },
    });
    expect(answer).toMatch(/^x-request-id: req_/m);
  });
});

describe('every response', () => {
  test("has an id of ours, whatever the client's", async () => {
    const theirs = `req_${'0'.repeat(32)}`;
    for (const path of ['/v1/files', '/v1/files/x', '/nope', '/healthz']) {
      const response = await fetch(`${server.url}${path}`, { headers: { 'x-request-id': theirs } });
      expect(response.headers.get('x-request-id')).toMatch(/^req_[0-9a-f]{32}$/);
      expect(response.headers.get('x-request-id')).not.toBe(theirs);
    }
  });

  test('keeps browsers from guessing, framing and sharing', async () => {
    for (const path of ['/v1/files', '/nope', '/docs', '/openapi.json']) {
      const { headers } = await fetch(`${server.url}${path}`, { headers: { origin: 'http://localhost:1' } });
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(headers.get('access-control-allow-origin')).toBeNull();
    }
  });

  test('to a wrong method is 405 and says which are right', async () => {
    for (const [method, path, allow] of [
      ['PUT', '/v1/files', 'GET, HEAD, POST'],
      ['PATCH', '/v1/files/file-x', 'DELETE, GET, HEAD'],
      ['GET', '/v1/batches/batch_x/cancel', 'POST'],
      ['OPTIONS', '/v1/batches', 'GET, HEAD, POST'],
      ['POST', '/healthz', 'GET, HEAD'],
    ] as const) {
      const response = await fetch(`${server.url}${path}`, { method });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe(allow);
      expect(await response.json()).toMatchObject({ error: { code: 'method_not_allowed' } });
    }
  });
});

describe('when the bucket is gone', () => {
  test('requests get 503 and a time to come back, /readyz says why, /healthz stays up', async () => {
    const folder = join(server.folder, 'bucket');
    await rename(folder, `${folder}-away`);
    const response = await fetch(`${server.url}/v1/files`, { method: 'POST', body: form() });
    expect(response.status).toBe(503);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    const text = await response.text();
    expect(JSON.parse(text)).toMatchObject({ error: { type: 'server_error', code: 'unavailable' } });
    expect(text).not.toContain(folder);
    const ready = await fetch(`${server.url}/readyz`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({
      status: 'not_ready',
      checks: { bucket: expect.stringMatching(/folder is gone/) },
    });
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    await rename(`${folder}-away`, folder);
    expect((await fetch(`${server.url}/v1/files`, { method: 'POST', body: form() })).status).toBe(200);
  });
});

test('/readyz names each check that fails', async () => {
  const own = await startTestServer({
    checks: {
      queue: async () => {
        throw new Error('Redis does not answer');
      },
    },
  });
  const ready = await fetch(`${own.url}/readyz`);
  expect(ready.status).toBe(503);
  expect(await ready.json()).toEqual({ status: 'not_ready', checks: { bucket: 'ok', queue: 'Redis does not answer' } });
  await own.stop();
});

test('an error nobody expected tells its id and nothing else', async () => {
  const own = await startTestServer();
  // A record that no version of this service wrote.
  const source = (async function* () {})();
  const file = await createFile(own.bucket, 'default', { filename: 'x', purpose: 'batch', source });
  await own.bucket.put(`files/default/${file.id}/meta.json`, '{"secret":"internals"}');
  const response = await fetch(`${own.url}/v1/files/${file.id}`);
  expect(response.status).toBe(500);
  const text = await response.text();
  expect(text).toContain(response.headers.get('x-request-id'));
  expect(text).not.toMatch(/internals|zod|\.ts|stack/i);
  await own.stop();
});

describe('close', () => {
  test('lets a running upload finish and takes no new one', async () => {
    const own = await startTestServer();
    const finished = slowUpload(own, 400);
    await expect.poll(async () => (await own.keys()).length).toBeGreaterThan(0);
    const closing = own.stop();
    await expect
      .poll(() =>
        fetch(`${own.url}/healthz`).then(
          () => 'up',
          () => 'down',
        ),
      )
      .toBe('down');
    expect((await finished).status).toBe(200);
    await closing;
  });

  test('does not wait for a connection that is only kept alive', async () => {
    const own = await startTestServer({ checks: { slow: () => new Promise((resolve) => setTimeout(resolve, 300)) } });
    const socket = connect(Number(new URL(own.url).port), '127.0.0.1');
    let answer = '';
    socket.setEncoding('utf8').on('data', (chunk) => {
      answer += chunk;
    });
    socket.write('GET /readyz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n');
    await new Promise((resolve) => setTimeout(resolve, 100));
    const started = performance.now();
    await own.stop();
    expect(performance.now() - started).toBeLessThan(5_000);
    expect(answer).toContain('200 OK');
  });

  test('cuts off what takes longer than it may', async () => {
    const own = await startTestServer({ closeMs: 200 });
    const finished = slowUpload(own, 60_000);
    await expect.poll(async () => (await own.keys()).length).toBeGreaterThan(0);
    const started = performance.now();
    const cut = expect(finished).rejects.toThrow();
    await own.stop();
    await cut;
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

function form(): FormData {
  const data = new FormData();
  data.set('purpose', 'batch');
  data.set('file', new Blob(['x']), 'x');
  return data;
}

/** An upload that sends its last bytes `ms` after its first. */
function slowUpload(to: TestServer, ms: number): Promise<{ status: number }> {
  const head = '--B\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n';
  const start = '--B\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nabc';
  return new Promise((resolve, reject) => {
    const upload = request(
      `${to.url}/v1/files`,
      { method: 'POST', headers: { 'content-type': 'multipart/form-data; boundary=B' } },
      (response) => {
        response.resume();
        resolve({ status: response.statusCode ?? 0 });
      },
    );
    upload.on('error', reject);
    upload.write(head + start);
    const timer = setTimeout(() => upload.end('def\r\n--B--\r\n'), ms);
    upload.on('close', () => clearTimeout(timer));
  });
}
