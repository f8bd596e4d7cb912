import { connect } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { startTestServer, type TestServer } from '../test-server.ts';

/** Anything at all, sent to a real server: it answers in its own words, stores nothing it should not, and lives on. */
let server: TestServer;
let routes: { method: string; path: string; json: boolean }[];

const Spec = z.object({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({ requestBody: z.object({ content: z.record(z.string(), z.unknown()) }).optional() }),
    ),
  ),
});

beforeAll(async () => {
  server = await startTestServer({ limits: { fileBytes: 100_000 } });
  const spec = Spec.parse(await (await fetch(`${server.url}/openapi.json`)).json());
  routes = Object.entries(spec.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { requestBody }]) => ({
      method: method.toUpperCase(),
      path,
      json: requestBody?.content['application/json'] !== undefined,
    })),
  );
  expect(routes.length).toBeGreaterThan(30);
});
afterAll(() => server.stop());

/** Enough to find what is there to be found, and not longer than a test may take on a slow machine. */
const BOUNDS = { numRuns: 150, interruptAfterTimeLimit: 6_000 };

/** Sends bytes as they are; gives all that comes back until the server closes. */
function raw(bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1', () => socket.end(bytes));
    let answer = '';
    socket.setEncoding('utf8').setTimeout(5_000, () => socket.destroy());
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    // What is cut off while it is still sending sees a reset.
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? resolve(answer) : reject(error),
    );
    socket.on('close', () => resolve(answer));
  });
}

const ErrorShape = z.strictObject({
  error: z.strictObject({
    message: z.string().min(1),
    type: z.string().min(1),
    param: z.string().nullable(),
    code: z.string().nullable(),
  }),
});

/** An answer of ours: never a 5xx, an error in its shape, always with an id. */
function check(status: number, requestId: string | null, body: string): void {
  expect(status, body).toBeLessThan(500);
  expect(requestId).toMatch(/^req_[0-9a-f]{32}$/);
  if (status >= 400 && body !== '') ErrorShape.parse(JSON.parse(body));
}

function checkRaw(whole: string): void {
  const answer = whole.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '');
  // Nothing at all: what came was not the beginning of a request.
  if (answer === '') return;
  const [head = '', ...rest] = answer.split('\r\n\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
  const body = rest.join('\r\n\r\n');
  const complete = /^content-length: /im.test(head);
  check(status, /^x-request-id: (\S+)$/im.exec(head)?.[1] ?? null, complete ? body : '');
}

const nasty = fc.oneof(
  fc.constantFrom(
    '..',
    '.',
    '',
    '%2e%2e',
    '%2f',
    '%5c',
    '%00',
    '%',
    '%ff',
    '__proto__',
    'constructor',
    '~',
    '\\',
    '//',
  ),
  fc.constantFrom(
    `file-${'0'.repeat(32)}`,
    `batch_${'f'.repeat(32)}`,
    `batch_${'0'.repeat(31)}`,
    `upload_${'a'.repeat(32)}`,
  ),
  fc.string({ unit: 'binary', maxLength: 8 }).map((s) => encodeURIComponent(s.toWellFormed())),
  fc.string({ maxLength: 12 }).map((s) => s.replaceAll(/[\s?#]/g, '')),
  fc.constantFrom(1_000, 20_000).map((n) => 'a'.repeat(n)),
);

test('any path, by any method', async () => {
  const before = await server.keys();
  const method = fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'BREW');
  const path = fc.array(fc.oneof(nasty, fc.constantFrom('v1', 'files', 'batches', 'content', 'results')), {
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(method, path, fc.string({ maxLength: 20 }), async (how, segments, query) => {
      const target = `/${segments.join('/')}?${query.replaceAll(/[^\x21-\x7e]/g, '_')}`;
      checkRaw(
        await raw(`${how} ${target} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`),
      );
    }),
    BOUNDS,
  );
  expect(await server.keys()).toEqual(before);
});

test('any headers', async () => {
  const name = fc.oneof(
    fc.constantFrom(
      'range',
      'if-range',
      'authorization',
      'content-type',
      'content-length',
      'transfer-encoding',
      'expect',
    ),
    fc.constantFrom('x-request-id', 'x-content-policy', 'cookie', 'origin', 'host', 'upgrade', 'connection', 'te'),
    fc.stringMatching(/^[a-z-]{1,30}$/),
  );
  const value = fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.constantFrom(
      'Bearer',
      `Bearer bm_live_${'A'.repeat(43)}`,
      'bytes=0-',
      'chunked',
      '-1',
      '1e9',
      '100-continue',
      'h2c',
    ),
    fc.constantFrom(5_000, 30_000).map((n) => 'b'.repeat(n)),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('GET', 'POST'),
      fc.array(fc.tuple(name, value), { maxLength: 8 }),
      async (how, all) => {
        const lines = all.map(([key, text]) => `${key}: ${text.replaceAll(/[\r\n]/g, ' ')}\r\n`).join('');
        const head = `${how} /v1/files HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n${lines}\r\n`;
        checkRaw(await raw(Buffer.from(head, 'latin1')));
      },
    ),
    BOUNDS,
  );
});

test('bytes that may be no request at all', async () => {
  const piece = fc.oneof(
    fc.constantFrom(
      'GET ',
      'POST ',
      '/v1/files',
      ' HTTP/1.1',
      '\r\n',
      '\n',
      '\r\n\r\n',
      'host: x',
      ': ',
      '\0',
      '\x16\x03\x01',
    ),
    fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
      checkRaw(await raw(Buffer.from(pieces.join(''), 'latin1')));
    }),
    BOUNDS,
  );
});

test('any id and any JSON in every route', async () => {
  const before = await server.keys();
  const known = [
    'input_file_id',
    'endpoint',
    'completion_window',
    'metadata',
    'only',
    'part_ids',
    'bytes',
    'purpose',
    'url',
  ];
  const key = fc.oneof(
    fc.constantFrom(...known, 'input', 'events', 'source', 'template', '__proto__'),
    fc.string({ maxLength: 5 }),
  );
  const body = fc.oneof(
    fc.json({ maxDepth: 4 }),
    fc.dictionary(key, fc.jsonValue({ maxDepth: 3 })).map((value) => JSON.stringify(value)),
    fc.constantFrom('', '{', 'null', '[]', '"', '{"a":1}x', `${'['.repeat(5_000)}${']'.repeat(5_000)}`),
    fc.constant(`{"metadata":${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}}`),
  );
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.array(nasty, { minLength: 2, maxLength: 2 }), body, async (at, ids, sent) => {
      const route = routes[at % routes.length];
      if (route === undefined) return;
      const path = route.path.replaceAll(/\{\w+\}/g, () => encodeURIComponent(ids.pop() ?? 'x').slice(0, 5_000) || 'x');
      const response = await fetch(`${server.url}${path}`, {
        method: route.method,
        ...(route.json ? { body: sent, headers: { 'content-type': 'application/json' } } : {}),
      });
      if (!path.startsWith('/readyz'))
        check(
          response.status,
          response.headers.get('x-request-id'),
          (await response.text()).slice(0, response.status >= 400 ? undefined : 0),
        );
    }),
    { ...BOUNDS, numRuns: 400 },
  );
  // Nothing but what a whole request of an upload, trigger or endpoint makes.
  const made = (await server.keys()).filter((one) => !before.includes(one));
  for (const one of made)
    expect(one).toMatch(/^(uploads|triggers|index\/triggers|hooks\/endpoints|index\/hooks|policies)\//);
});

test('any form: taken whole, or refused and nothing kept', async () => {
  const before = await server.keys();
  const B = 'X';
  const piece = fc.oneof(
    fc.constantFrom(`--${B}\r\n`, `--${B}--\r\n`, `--${B}`, '\r\n', '\r\n\r\n', '--', 'abc', '\0'),
    fc.constantFrom(
      'content-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n',
      'content-disposition: form-data; name="file"; filename="a"\r\n\r\nabc\r\n',
      'content-disposition: form-data; name="file"; filename="../../x"\r\ncontent-type: a/b\r\n\r\n',
      `content-disposition: form-data; name="${'n'.repeat(300)}"\r\n\r\nv\r\n`,
      'content-disposition: form-data; name="__proto__"\r\n\r\nv\r\n',
      `x: ${'h'.repeat(20_000)}\r\n`,
      'content-transfer-encoding: base64\r\n',
    ),
    fc.string({ unit: 'binary', maxLength: 10 }),
    fc.constant('x'.repeat(150_000)),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 10 }), async (pieces) => {
      const response = await fetch(`${server.url}/v1/files`, {
        method: 'POST',
        body: Buffer.from(pieces.join(''), 'latin1'),
        headers: { 'content-type': `multipart/form-data; boundary=${B}` },
      });
      const text = await response.text();
      check(response.status, response.headers.get('x-request-id'), response.status >= 400 ? text : '');
      if (response.status === 200) await fetch(`${server.url}/v1/files/${JSON.parse(text).id}`, { method: 'DELETE' });
      expect(await server.keys()).toEqual(before);
    }),
    { ...BOUNDS, numRuns: 100 },
  );
});

test('after all of it the server is as it was', async () => {
  const { files } = server.client();
  const file = await files.create({ file: new File(['{}'], 'a.jsonl'), purpose: 'batch' });
  expect(await (await files.content(file.id)).text()).toBe('{}');
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
});
