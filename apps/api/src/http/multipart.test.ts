import { request } from 'node:http';
import { createKey } from '@batchmill/keys';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../test-server.ts';

const LIMIT = 1_000_000;
let server: TestServer;
let before: string[];

beforeAll(async () => {
  server = await startTestServer({ limits: { fileBytes: LIMIT } });
});
afterAll(() => server.stop());
beforeEach(async () => {
  before = await server.keys();
});

const B = 'X-BOUNDARY';
const field = (name: string, value: string) =>
  `--${B}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
const file = (name: string, content: string, filename = 'a.jsonl') =>
  `--${B}\r\ncontent-disposition: form-data; name="${name}"; filename="${filename}"\r\ncontent-type: text/plain\r\n\r\n${content}\r\n`;
const end = `--${B}--\r\n`;

async function post(body: string | Buffer | ReadableStream, type = `multipart/form-data; boundary=${B}`) {
  const response = await fetch(`${server.url}/v1/files`, {
    method: 'POST',
    body,
    headers: { 'content-type': type },
    duplex: 'half',
  });
  const json: unknown = await response.json();
  return { status: response.status, json, id: response.headers.get('x-request-id') };
}

function error(code: string, param: string | null = null) {
  return { error: { code, param, type: 'invalid_request_error', message: expect.any(String) } };
}

describe('a form is taken', () => {
  test.each([
    ['purpose before the file', field('purpose', 'batch') + file('file', 'abc') + end],
    ['purpose after the file', file('file', 'abc') + field('purpose', 'batch') + end],
    ['with preamble and epilogue', `hello\r\n${file('file', 'abc')}${field('purpose', 'batch')}${end}bye`],
  ])('%s', async (_name, body) => {
    const { status, json } = await post(body);
    expect(json).toMatchObject({ object: 'file', bytes: 3, purpose: 'batch', filename: 'a.jsonl' });
    expect(status).toBe(200);
  });

  test('in chunks cut anywhere, also inside the boundary', async () => {
    const content = `\r\n--${B.slice(0, 5)}\r\n`.repeat(3);
    const body = Buffer.from(file('file', content) + field('purpose', 'batch') + end);
    for (const size of [1, 3, 7, 50]) {
      let at = 0;
      const stream = new ReadableStream({
        pull: (controller) => {
          if (at >= body.length) return controller.close();
          controller.enqueue(body.subarray(at, at + size));
          at += size;
        },
      });
      expect((await post(stream)).json).toMatchObject({ bytes: content.length });
    }
  });

  test('with a path as file name, of which only the last part is kept', async () => {
    const body = field('purpose', 'batch') + file('file', 'abc', '../../etc/passwd') + end;
    expect((await post(body)).json).toMatchObject({ filename: 'passwd' });
  });

  test('of exactly the size allowed', async () => {
    const body = field('purpose', 'batch') + file('file', 'x'.repeat(LIMIT)) + end;
    expect((await post(body)).json).toMatchObject({ bytes: LIMIT });
  });
});

describe('a form is refused by name, and leaves nothing', () => {
  test.each<[string, string, number, object]>([
    ['no file', field('purpose', 'batch') + end, 400, error('missing_required_parameter', 'file')],
    ['no purpose', file('file', 'abc') + end, 400, error('missing_required_parameter', 'purpose')],
    ['nothing', end, 400, error('missing_required_parameter', 'file')],
    ['wrong purpose first', field('purpose', 'x') + file('file', 'abc') + end, 400, error('invalid_value', 'purpose')],
    ['wrong purpose last', file('file', 'abc') + field('purpose', 'x') + end, 400, error('invalid_value', 'purpose')],
    [
      'unknown field',
      file('file', 'a') + field('purpose', 'batch') + field('x', 'y') + end,
      400,
      error('unknown_parameter', 'x'),
    ],
    [
      '__proto__',
      file('file', 'a') + field('purpose', 'batch') + field('__proto__', 'y') + end,
      400,
      error('unknown_parameter', '__proto__'),
    ],
    [
      'file under another name',
      field('purpose', 'batch') + file('upload', 'abc') + end,
      400,
      error('unknown_parameter', 'upload'),
    ],
    [
      'purpose as a file',
      file('purpose', 'batch') + file('file', 'abc') + end,
      400,
      error('unknown_parameter', 'purpose'),
    ],
    ['two files', field('purpose', 'batch') + file('file', 'a') + file('file', 'b') + end, 400, error('invalid_form')],
    ['purpose twice', field('purpose', 'batch').repeat(2) + file('file', 'a') + end, 400, error('invalid_form')],
    [
      'endless fields',
      Array.from({ length: 50 }, (_, i) => field(`f${i}`, '')).join('') + end,
      400,
      error('invalid_form'),
    ],
    ['a long field', field('purpose', 'x'.repeat(10_000)) + end, 400, error('invalid_form')],
    ['cut off in the file', field('purpose', 'batch') + file('file', 'abc'), 400, error('invalid_form')],
    ['cut off in the headers', `--${B}\r\ncontent-disp`, 400, error('invalid_form')],
    ['no part at all', 'hello', 400, error('invalid_form')],
    ['empty', '', 400, error('invalid_form')],
    [
      'a name with a line break',
      field('purpose', 'batch') + file('file', 'a', 'a\u0001b') + end,
      400,
      error('invalid_value', 'filename'),
    ],
    [
      'one byte too many',
      field('purpose', 'batch') + file('file', 'x'.repeat(LIMIT + 1)) + end,
      413,
      error('content_too_large'),
    ],
    [
      'far too much',
      field('purpose', 'batch') + file('file', 'x'.repeat(LIMIT * 4)) + end,
      413,
      error('content_too_large'),
    ],
    ['an endless preamble', 'x'.repeat(LIMIT * 3), 413, error('content_too_large')],
  ])('%s', async (_name, body, status, json) => {
    const response = await post(body);
    expect(response.json).toEqual(json);
    expect(response.status).toBe(status);
    expect(response.id).toMatch(/^req_[0-9a-f]{32}$/);
    expect(await server.keys()).toEqual(before);
  });

  test.each([
    ['multipart/form-data', 400],
    ['multipart/form-data; boundary=', 400],
    ['multipart/form-data; boundary=""', 400],
    ['multipart/mixed; boundary=x', 415],
    ['application/x-www-form-urlencoded', 415],
    ['application/json', 415],
    ['x', 415],
  ])('content type %s', async (type, status) => {
    expect((await post(file('file', 'abc') + end, type)).status).toBe(status);
    expect(await server.keys()).toEqual(before);
  });

  test('a stream without a length that grows over the limit', async () => {
    const chunk = Buffer.alloc(100_000, 'x');
    let sent = 0;
    const stream = new ReadableStream({
      start: (controller) => controller.enqueue(Buffer.from(field('purpose', 'batch') + file('file', ''))),
      pull: (controller) => {
        sent += chunk.length;
        if (sent > LIMIT * 10) controller.close();
        else controller.enqueue(chunk);
      },
    });
    // A client that is still sending may see the connection close instead of the answer; either way nothing is stored.
    await post(stream).then(
      ({ status }) => expect([400, 413]).toContain(status),
      () => {},
    );
    await expect.poll(() => server.keys()).toEqual(before);
  });
});

test('a client that hangs up in the middle leaves nothing', async () => {
  const upload = request(`${server.url}/v1/files`, {
    method: 'POST',
    headers: { 'content-type': `multipart/form-data; boundary=${B}`, 'content-length': 900_000 },
  });
  upload.on('error', () => {});
  upload.write(field('purpose', 'batch') + file('file', 'x'.repeat(300_000)));
  // The marker of the staged file says that the upload has begun.
  await expect.poll(async () => (await server.keys()).length).toBeGreaterThan(before.length);
  upload.destroy();
  await expect.poll(() => server.keys()).toEqual(before);
});

test('a request without a key is refused before its body is read', async () => {
  const keyed = await startTestServer();
  try {
    await createKey(keyed.bucket, { tenant: 'acme', name: 'a' });
    const body = field('purpose', 'batch') + file('file', 'abc') + end;
    const response = await fetch(`${keyed.url}/v1/files`, {
      method: 'POST',
      body,
      headers: { 'content-type': `multipart/form-data; boundary=${B}` },
    });
    expect(response.status).toBe(401);
    expect((await keyed.keys()).filter((key) => !key.startsWith('keys/'))).toEqual([]);
  } finally {
    await keyed.stop();
  }
});
