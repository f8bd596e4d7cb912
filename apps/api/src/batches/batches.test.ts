import { layout } from '@batchmill/bucket';
import { APIError, toFile } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../test-server.ts';

let server: TestServer;
let input: string;
beforeAll(async () => {
  server = await startTestServer();
  const file = await toFile(Buffer.from('{}\n'), 'input.jsonl');
  input = (await server.client().files.create({ file, purpose: 'batch' })).id;
});
afterAll(() => server.stop());

const create = (on = server) =>
  on.client().batches.create({
    input_file_id: input,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
    metadata: { team: 'records' },
  });

async function failure(promise: Promise<unknown>): Promise<APIError> {
  const error = await promise.then(() => null).catch((e: unknown) => e);
  if (error instanceof APIError) return error;
  throw new Error(`expected an APIError, got ${error}`);
}

async function post(path: string, body: string | ReadableStream, headers: Record<string, string> = {}) {
  const response = await fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
    ...(body instanceof ReadableStream ? { duplex: 'half' as const } : {}),
  });
  const json: unknown = await response.json();
  return { status: response.status, json };
}

describe('with the openai SDK', () => {
  test('a batch is created, described, listed and cancelled', async () => {
    const { batches } = server.client();
    const batch = await create();
    expect(batch).toMatchObject({
      object: 'batch',
      status: 'validating',
      endpoint: '/v1/chat/completions',
      input_file_id: input,
      completion_window: '24h',
      metadata: { team: 'records' },
      output_file_id: null,
      errors: null,
      request_counts: { total: 0, completed: 0, failed: 0 },
    });
    expect(server.triggered).toContain(batch.id);
    expect(await batches.retrieve(batch.id)).toEqual(batch);
    const cancelling = await batches.cancel(batch.id);
    expect(cancelling).toMatchObject({ id: batch.id, status: 'cancelling', cancelling_at: expect.any(Number) });
    expect((await batches.cancel(batch.id)).status).toBe('cancelling');
  });

  test('lists come newest first, page by page', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) {
      ids.unshift((await create()).id);
      // Ids made within one millisecond have no order.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const seen: string[] = [];
    for await (const batch of server.client().batches.list({ limit: 2 })) {
      seen.push(batch.id);
      if (seen.length === ids.length) break;
    }
    expect(seen).toEqual(ids);
  });

  test('a batch that has ended cannot be cancelled, and the SDK is told not to try again', async () => {
    const batch = await create();
    await server.bucket.put(layout.batch.failed('default', batch.id), JSON.stringify({ failed_at: 1, errors: [] }));
    const error = await failure(server.client().batches.cancel(batch.id));
    expect(error).toMatchObject({ status: 409, type: 'conflict_error' });
    expect(error.headers?.get('x-should-retry')).toBe('false');
  });

  test('what does not exist is 404, in the words of OpenAI', async () => {
    const { batches } = server.client();
    const id = `batch_${'0'.repeat(32)}`;
    const error = await failure(batches.retrieve(id));
    expect(error.status).toBe(404);
    expect(error.message).toContain(`No batch found with id '${id}'.`);
    for (const wrong of ['nonsense', input, '../keys', 'batch_\0']) {
      expect((await failure(batches.retrieve(wrong))).status).toBe(404);
      expect((await failure(batches.cancel(wrong))).status).toBe(404);
    }
  });
});

test.each<[string, () => Promise<void>]>([
  ['is down', () => Promise.reject(new Error('no queue'))],
  ['does not answer', () => new Promise(() => {})],
])('a batch is accepted while the queue %s: it is in the bucket', async (_name, trigger) => {
  const own = await startTestServer({ batch: { bucket: server.bucket, trigger } });
  const batch = await create(own);
  expect(await server.client().batches.retrieve(batch.id)).toEqual(batch);
  expect((await own.client().batches.cancel(batch.id)).status).toBe('cancelling');
  await own.stop();
});

describe('a body is refused by name', () => {
  const valid = { input_file_id: 'file-x', endpoint: '/v1/chat/completions', completion_window: '24h' };
  test.each<[object, string]>([
    [{ input_file_id: undefined }, 'input_file_id'],
    [{ endpoint: undefined }, 'endpoint'],
    [{ endpoint: '/v1/nope' }, 'endpoint'],
    [{ completion_window: '8d' }, 'completion_window'],
    [{ completion_window: '24' }, 'completion_window'],
    [{ metadata: { a: 1 } }, 'metadata.a'],
    [{ metadata: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`k${i}`, ''])) }, 'metadata'],
    [{ output_expires_after: { anchor: 'created_at', seconds: 1 } }, 'output_expires_after.seconds'],
    [{ webhook: 'http://x' }, 'webhook'],
    [{}, 'input_file_id'],
  ])('%j', async (change, param) => {
    const { status, json } = await post('/v1/batches', JSON.stringify({ ...valid, ...change }));
    expect(json).toMatchObject({ error: { param, type: 'invalid_request_error' } });
    expect(status).toBe(400);
  });

  test.each([
    ['{"a":', 'application/json', 400, 'invalid_json'],
    ['', 'application/json', 400, 'invalid_json'],
    ['['.repeat(500_000), 'application/json', 400, 'invalid_json'],
    ['{}', 'text/plain', 415, 'unsupported_media_type'],
    ['a=b', 'application/x-www-form-urlencoded', 415, 'unsupported_media_type'],
    [' '.repeat(2 ** 20 + 1), 'application/json', 413, 'content_too_large'],
  ])('body %#', async (body, type, status, code) => {
    const response = await post('/v1/batches', body, { 'content-type': type });
    expect(response).toMatchObject({ status, json: { error: { code } } });
  });

  test('a body without a length that does not end', async () => {
    let sent = 0;
    const body = new ReadableStream({
      pull: (controller) => {
        sent += 100_000;
        if (sent > 20_000_000) controller.close();
        else controller.enqueue(new Uint8Array(100_000).fill(32));
      },
    });
    // A client that is still sending may see the connection close instead of the answer.
    const outcome = await post('/v1/batches', body).then(
      ({ status }) => status,
      () => 'closed',
    );
    expect([413, 'closed']).toContain(outcome);
    expect(sent).toBeLessThan(20_000_000);
  });

  test.each(['limit=0', 'limit=101', 'limit=x', 'after=batch_1', 'order=asc'])('?%s', async (query) => {
    const response = await fetch(`${server.url}/v1/batches?${query}`);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param: query.split('=')[0] } });
  });
});
