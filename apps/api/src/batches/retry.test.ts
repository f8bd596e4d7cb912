import { createKey } from '@batchmill/keys';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { finishBatch, startTestServer, type TestServer } from '../test-server.ts';

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer();
});
afterEach(() => server.stop());

async function ask(path: string, init: RequestInit = {}, on = server) {
  const response = await fetch(`${on.url}/v1/batches/${path}`, init);
  const json: unknown = await response.json();
  return { status: response.status, json: Object(json), headers: response.headers };
}
const post = (body: unknown, key?: string): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) },
  body: typeof body === 'string' ? body : JSON.stringify(body),
});

describe('POST /v1/batches/{id}/retry', () => {
  test('makes a batch of what failed, linked to the first, once', async () => {
    const first = await finishBatch(server, ['a', 'b', 'c'], { fail: ['b', 'c'], metadata: { team: 'x' } });
    const made = await ask(`${first}/retry`, { method: 'POST' });
    expect(made).toMatchObject({
      status: 200,
      json: { object: 'batch', status: 'validating', retry_of: first, metadata: { team: 'x' } },
    });
    expect(server.triggered).toContain(made.json.id);
    expect((await ask(`${first}/retry`, post({}))).json.id).toBe(made.json.id);
    const changed = { only: ['failed'], completion_window: '3d', metadata: { team: 'y' } };
    const other = await ask(`${first}/retry`, post(changed));
    expect(other.json).toMatchObject({ completion_window: '3d', metadata: { team: 'y' } });
    expect(other.json.id).not.toBe(made.json.id);
    expect((await ask(first)).json).not.toHaveProperty('retry_of');
  });

  test.each<[unknown, string]>([
    [{ only: ['nonsense'] }, 'only.0'],
    [{ only: [] }, 'only'],
    [{ only: 'failed' }, 'only'],
    [{ completion_window: '9d' }, 'completion_window'],
    [{ input_file_id: 'file-x' }, 'input_file_id'],
    [{ webhook: { url: 'http://127.0.0.1/' } }, 'webhook.url'],
  ])('%j is refused by name', async (body, param) => {
    const first = await finishBatch(server, ['a'], { fail: ['a'] });
    expect(await ask(`${first}/retry`, post(body))).toMatchObject({ status: 400, json: { error: { param } } });
  });

  test('a state that does not allow it is 409, and is not tried again', async () => {
    const running = await finishBatch(server, ['a'], { end: false });
    const good = await finishBatch(server, ['a']);
    for (const [id, code] of [
      [running, 'batch_not_ended'],
      [good, 'nothing_to_retry'],
    ] as const) {
      const refused = await ask(`${id}/retry`, { method: 'POST' });
      expect(refused).toMatchObject({ status: 409, json: { error: { code, type: 'conflict_error' } } });
      expect(refused.headers.get('x-should-retry')).toBe('false');
    }
  });

  test('a body that is no JSON, or too large', async () => {
    const first = await finishBatch(server, ['a'], { fail: ['a'] });
    expect(await ask(`${first}/retry`, post('{'))).toMatchObject({ status: 400 });
    expect(await ask(`${first}/retry`, post(' '.repeat(2 ** 20 + 1)))).toMatchObject({ status: 413 });
    const form = { method: 'POST', body: 'a=b', headers: { 'content-type': 'application/x-www-form-urlencoded' } };
    expect(await ask(`${first}/retry`, form)).toMatchObject({ status: 415 });
  });
});

describe('DELETE /v1/batches/{id}', () => {
  test('a batch that has ended is gone with its results; one that runs is 409', async () => {
    const { batches, files } = server.client();
    const id = await finishBatch(server, ['a', 'b'], { fail: ['b'] });
    const { output_file_id: output, input_file_id: input } = await batches.retrieve(id);
    expect(await ask(id, { method: 'DELETE' })).toMatchObject({
      status: 200,
      json: { id, object: 'batch', deleted: true },
    });
    expect((await ask(id)).status).toBe(404);
    expect((await ask(id, { method: 'DELETE' })).status).toBe(404);
    await expect(files.retrieve(output ?? '')).rejects.toMatchObject({ status: 404 });
    expect(await files.retrieve(input)).toMatchObject({ id: input });
    const running = await finishBatch(server, ['a'], { end: false });
    const refused = await ask(running, { method: 'DELETE' });
    expect(refused).toMatchObject({ status: 409, json: { error: { code: 'batch_not_ended' } } });
    expect(refused.headers.get('x-should-retry')).toBe('false');
  });

  test('the input of a batch that runs cannot be deleted, one that has ended can', async () => {
    const { batches, files } = server.client();
    const running = await batches.retrieve(await finishBatch(server, ['a'], { end: false }));
    await expect(files.delete(running.input_file_id)).rejects.toMatchObject({ status: 409, code: 'file_in_use' });
    expect(await files.retrieve(running.input_file_id)).toMatchObject({ status: 'processed' });
    const ended = await batches.retrieve(await finishBatch(server, ['a']));
    expect(await files.delete(ended.input_file_id)).toMatchObject({ deleted: true });
  });
});

describe('GET /v1/batches/{id}/results', () => {
  test('one line for each item, answers and errors, with the status of the batch', async () => {
    const id = await finishBatch(server, ['a', 'b', 'c'], { fail: ['b'] });
    const response = await fetch(`${server.url}/v1/batches/${id}/results`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/jsonl');
    expect(response.headers.get('x-batch-status')).toBe('completed');
    const lines = (await response.text()).trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line).custom_id)).toEqual(['a', 'b', 'c']);
    const head = await fetch(`${server.url}/v1/batches/${id}/results`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  test('of a batch that nobody has begun with it is empty', async () => {
    const id = await finishBatch(server, ['a'], { end: false });
    const response = await fetch(`${server.url}/v1/batches/${id}/results`);
    expect([response.headers.get('x-batch-status'), await response.text()]).toEqual(['validating', '']);
  });
});

test('for another tenant, and for what is no id, there is nothing', async () => {
  const { key: mine } = await createKey(server.bucket, { tenant: 'mine', name: 'a' });
  const { key: theirs } = await createKey(server.bucket, { tenant: 'theirs', name: 'a' });
  const id = await finishBatch(server, ['a'], { fail: ['a'], key: theirs, tenant: 'theirs' });
  for (const wrong of [id, `batch_${'0'.repeat(32)}`, 'nonsense', '..%2f..%2fkeys', '__proto__']) {
    for (const [path, init] of [
      [`${wrong}/retry`, post({}, mine)],
      [`${wrong}/results`, { headers: { authorization: `Bearer ${mine}` } }],
      [wrong, { method: 'DELETE', headers: { authorization: `Bearer ${mine}` } }],
    ] as const) {
      const { status, json } = await ask(path, init);
      expect([status, json.error.message]).toEqual([404, `No batch found with id '${decodeURIComponent(wrong)}'.`]);
    }
    expect((await ask(`${wrong}/retry`, { method: 'POST' })).status).toBe(401);
  }
  expect(await ask(id, { headers: { authorization: `Bearer ${theirs}` } })).toMatchObject({ status: 200 });
});
