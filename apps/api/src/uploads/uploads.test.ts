import { createHash } from 'node:crypto';
import { APIError, toFile } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

const create = (bytes: number) =>
  server.client().uploads.create({ bytes, filename: 'big.jsonl', mime_type: 'application/jsonl', purpose: 'batch' });

const add = async (upload: { id: string }, content: string) =>
  (await server.client().uploads.parts.create(upload.id, { data: await toFile(Buffer.from(content), 'part') })).id;

async function failure(promise: Promise<unknown>): Promise<APIError> {
  const error = await promise.then(() => null).catch((e: unknown) => e);
  if (error instanceof APIError) return error;
  throw new Error(`expected an APIError, got ${error}`);
}

describe('with the openai SDK', () => {
  test('parts in parallel become one file, once', async () => {
    const { uploads, files } = server.client();
    const upload = await create(9);
    expect(upload).toMatchObject({ object: 'upload', status: 'pending', bytes: 9 });
    const [c, a, b] = await Promise.all(['ghi', 'abc', 'def'].map((text) => add(upload, text)));
    const body = {
      part_ids: [a ?? '', b ?? '', c ?? ''],
      md5: createHash('md5').update('abcdefghi').digest('hex'),
    };
    const done = await uploads.complete(upload.id, body);
    expect(done).toMatchObject({ id: upload.id, status: 'completed', file: { filename: 'big.jsonl', bytes: 9 } });
    expect(await uploads.complete(upload.id, body)).toEqual(done);
    expect(await (await files.content(done.file?.id ?? '')).text()).toBe('abcdefghi');
    expect((await failure(add(upload, 'late'))).code).toBe('upload_completed');
  });

  test('a cancelled upload takes no parts', async () => {
    const upload = await create(3);
    const part = await add(upload, 'abc');
    expect((await server.client().uploads.cancel(upload.id)).status).toBe('cancelled');
    const error = await failure(server.client().uploads.complete(upload.id, { part_ids: [part] }));
    expect(error).toMatchObject({ status: 400, code: 'upload_cancelled' });
  });

  test('what does not exist is 404', async () => {
    const { uploads } = server.client();
    for (const id of [`upload_${'0'.repeat(32)}`, 'nonsense', '..%2f..%2fkeys']) {
      const gone = { status: 404, type: 'invalid_request_error' };
      expect(await failure(uploads.cancel(id))).toMatchObject(gone);
      expect(await failure(uploads.complete(id, { part_ids: ['part_x'] }))).toMatchObject(gone);
      expect(await failure(add({ id }, 'abc'))).toMatchObject(gone);
    }
  });
});

test('a bucket in a folder takes nothing directly, and says where parts go', async () => {
  const upload = await create(9);
  const ask = async (id: string, body: unknown) => {
    const response = await fetch(`${server.url}/v1/uploads/${id}/part_urls`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return [response.status, ((await response.json()) as { error: { code: string; message: string } }).error] as const;
  };
  const [status, error] = await ask(upload.id, { bytes: [4, 5] });
  expect([status, error.code]).toEqual([400, 'no_direct_uploads']);
  expect(error.message).toContain(`/v1/uploads/${upload.id}/parts`);
  expect((await ask(upload.id, { bytes: [4, 6] }))[1].message).toContain('10 bytes in all');
  expect((await ask(upload.id, { bytes: [] }))[0]).toBe(400);
  expect((await ask(`upload_${'0'.repeat(32)}`, { bytes: [1] }))[0]).toBe(404);
});

describe('refused by name', () => {
  test.each<[unknown, string]>([
    [{}, 'bytes'],
    [{ bytes: 0 }, 'bytes'],
    [{ bytes: '5' }, 'bytes'],
    [{ bytes: 2 ** 40 }, 'bytes'],
    [{ bytes: 5, filename: '' }, 'filename'],
    [{ bytes: 5, filename: 'a\nb' }, 'filename'],
    [{ bytes: 5, purpose: 'batch_output' }, 'purpose'],
    [{ bytes: 5, purpose: undefined }, 'purpose'],
    [{ bytes: 5, colour: 'red' }, 'colour'],
  ])('%j', async (change, param) => {
    const valid = { bytes: undefined, filename: 'a', mime_type: 'b', purpose: 'batch' };
    const response = await fetch(`${server.url}/v1/uploads`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(Object.assign(valid, change)),
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param, type: 'invalid_request_error' } });
  });

  test('a part without data, and sums that do not add up', async () => {
    const upload = await create(3);
    const empty = new FormData();
    empty.set('other', 'x');
    const response = await fetch(`${server.url}/v1/uploads/${upload.id}/parts`, { method: 'POST', body: empty });
    expect(await response.json()).toMatchObject({ error: { code: 'missing_required_parameter', param: 'data' } });
    const part = await add(upload, 'ab');
    const error = await failure(server.client().uploads.complete(upload.id, { part_ids: [part] }));
    expect(error.message).toContain('the parts have 2 bytes in all, the upload was created for 3');
  });
});
