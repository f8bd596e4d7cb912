import { createKey } from '@batchmill/keys';
import { toFile } from 'openai';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../test-server.ts';

const OPERATOR_KEY = 'an-operator-key-of-the-settings';

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer({
    models: ['m'],
    operatorKey: OPERATOR_KEY,
    scaling: {
      workers: async () => ({ text: 2, media: 1 }),
      settings: { maxWorkers: 4, startSeconds: 60, pace: 0.5, patienceSeconds: 0 },
    },
  });
});
afterEach(() => server.stop());

const ask = (path: string, authorization?: string) =>
  fetch(`${server.url}${path}`, authorization === undefined ? {} : { headers: { authorization } });
const basic = (password: string) => `Basic ${Buffer.from(`who ever:${password}`).toString('base64')}`;
const PATHS = ['/metrics', '/v1/autoscale/all'];

describe('what is for operators', () => {
  test.for(PATHS)('%s answers local requests of a service without keys', async (path) => {
    expect((await ask(path)).status).toBe(200);
  });

  test.for(PATHS)('%s is closed once there is a key, to tenants too, and open to operators', async (path) => {
    const keys = [
      await createKey(server.bucket, { tenant: 'acme', name: 'a tenant' }),
      await createKey(server.bucket, { tenant: 'default', name: 'prometheus', operator: true }),
    ].map(({ key }) => key);
    expect((await ask(path)).status).toBe(401);
    expect((await ask(path, `Bearer ${OPERATOR_KEY}x`)).status).toBe(401);
    const refused = await ask(path, `Bearer ${keys[0]}`);
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({ error: { code: 'operator_only' } });
    expect((await ask(path, `Bearer ${keys[1]}`)).status).toBe(200);
    expect((await ask(path, basic(keys[1] ?? ''))).status).toBe(200);
    expect((await ask(path, `Bearer ${OPERATOR_KEY}`)).status).toBe(200);
  });

  test("an operator's key opens no tenant's data", async () => {
    const { key } = await createKey(server.bucket, { tenant: 'acme', name: 'prometheus', operator: true });
    for (const path of ['/v1/files', '/v1/batches', '/v1/models'])
      expect(await (await ask(path, `Bearer ${key}`)).json()).toMatchObject({ error: { code: 'operator_key' } });
    expect((await ask('/v1/files', `Bearer ${OPERATOR_KEY}`)).status).toBe(401);
  });
});

test('the signal of an idle service', async () => {
  expect(await (await ask('/v1/autoscale/all')).json()).toEqual({
    object: 'autoscale',
    lane: 'all',
    workers_wanted: 0,
    workers: 2,
    batches: 0,
    items: 0,
    tokens: 0,
    pages: 0,
    audio_seconds: 0,
    work_seconds: 0,
    earliest_deadline: null,
    measured: false,
  });
  expect(await (await ask('/v1/autoscale/media')).json()).toMatchObject({ lane: 'media', workers: 1 });
  expect((await ask('/v1/autoscale/video')).status).toBe(400);
  expect(await (await ask('/metrics')).text()).toMatch(/^batchmill_workers\{lane="all"\} 2$/m);
});

test('an estimate of an uploaded file, and of one that is not there', async () => {
  const client = server.client();
  const line = (id: string, body: object, url = '/v1/ocr') =>
    `${JSON.stringify({ custom_id: id, method: 'POST', url, body })}\n`;
  const lines = [
    line('a', { pages: '0-9' }),
    line('b', { document: { type: 'document_url' } }),
    line('c', {}, '/v1/chat'),
  ];
  const file = await client.files.create({
    file: await toFile(Buffer.from(lines.join('')), 'a.jsonl'),
    purpose: 'batch',
  });
  const body = { input_file_id: file.id, endpoint: '/v1/ocr' };
  expect(await client.post('/batches/estimate', { body })).toEqual({
    object: 'batch.estimate',
    input_file_id: file.id,
    endpoint: '/v1/ocr',
    items: 2,
    wrong_lines: 1,
    tokens: 22 * 1_520,
    pages: 22,
    audio_minutes: 0,
    measured: false,
    // At the 100 tokens a second of a worker that nobody has measured; both items are in one shard.
    now: { workers: 2, seconds: 335 },
    full: { workers: 1, seconds: 335 },
    waiting_seconds: 0,
  });
  await expect(
    client.post('/batches/estimate', { body: { ...body, input_file_id: 'file-none' } }),
  ).rejects.toMatchObject({
    status: 400,
    code: 'file_not_found',
  });
  await expect(client.post('/batches/estimate', { body: { ...body, endpoint: '/v1/none' } })).rejects.toMatchObject({
    status: 400,
    param: 'endpoint',
  });
  expect(await server.keys().then((keys) => keys.filter((key) => key.startsWith('batches/')))).toEqual([]);
});
