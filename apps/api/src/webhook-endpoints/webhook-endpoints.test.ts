import { once } from 'node:events';
import { createServer } from 'node:http';
import { createGuard } from '@batchmill/guard';
import { createKey } from '@batchmill/keys';
import { toFile } from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../test-server.ts';

let server: TestServer;
const receiver = createServer((_, response) => void response.writeHead(204).end());
let url: string;
beforeAll(async () => {
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  const address = receiver.address();
  url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/`;
  server = await startTestServer({
    webhooks: { guard: createGuard({ allow: ['127.0.0.1'], allowHttp: true }), trigger: async () => {} },
  });
});
afterAll(async () => {
  await server.stop();
  receiver.close();
});

const call = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: Object(await response.json()) };
};
const PATH = '/v1/webhook_endpoints';
const make = (more: Record<string, unknown> = {}) => call('POST', PATH, { url, events: ['batch.completed'], ...more });

test('an endpoint is made, listed, changed, tried, given another secret and deleted; secrets are shown once', async () => {
  const { status, body: made } = await make({ description: 'mine' });
  expect(status).toBe(200);
  expect(made).toMatchObject({ object: 'webhook_endpoint', url, disabled: false, description: 'mine' });
  expect(made.secret).toMatch(/^whsec_/);
  const at = `${PATH}/${made.id}`;
  expect((await call('GET', at)).body).not.toHaveProperty('secret');
  expect((await call('GET', PATH)).body.data).toMatchObject([{ id: made.id }]);
  expect((await call('POST', at, { events: ['item.failed'], disabled: true })).body).toMatchObject({
    events: ['item.failed'],
    disabled: true,
    disabled_reason: 'by_request',
  });
  expect((await call('POST', `${at}/test`)).body).toMatchObject({ response_code: 204, error: null });
  const rotated = await call('POST', `${at}/rotate_secret`, { overlap_seconds: 60 });
  expect(rotated.body.secret).toMatch(/^whsec_/);
  expect(rotated.body.secret).not.toBe(made.secret);
  expect((await call('GET', `${at}/deliveries`)).body).toMatchObject({ object: 'list', data: [], has_more: false });
  expect(await call('DELETE', at)).toMatchObject({ status: 200, body: { deleted: true } });
  expect(await call('GET', at)).toMatchObject({ status: 404, body: { error: { code: 'webhook_endpoint_not_found' } } });
});

test.each([
  [{ url: 'http://10.0.0.1/' }, 'url'],
  [{ url: 'not a url' }, 'url'],
  [{ events: [] }, 'events'],
  [{ events: ['batch.eaten'] }, 'events.0'],
  [{ colour: 'red' }, 'colour'],
])('a wrong endpoint is refused by name: %j', async (more, param) => {
  expect(await make(more)).toMatchObject({ status: 400, body: { error: { param } } });
});

test('a batch can have a webhook of its own, whose made-up secret is shown once', async () => {
  const client = server.client();
  const line = { custom_id: 'a', method: 'POST', url: '/v1/chat/completions', body: { model: 'm', messages: [] } };
  const file = await client.files.create({
    file: await toFile(Buffer.from(JSON.stringify(line)), 'a.jsonl'),
    purpose: 'batch',
  });
  const batch = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' };
  const made = await call('POST', '/v1/batches', { ...batch, webhook: { url } });
  expect(made.body.webhook).toMatchObject({ url, secret: expect.stringMatching(/^whsec_/) });
  const got = await call('GET', `/v1/batches/${made.body.id}`);
  expect(got.body.webhook).toEqual({ url, endpoint_id: made.body.webhook.endpoint_id });
  expect((await call('GET', PATH)).body.data).toEqual([]);
  expect(await call('POST', '/v1/batches', { ...batch, webhook: { url: 'http://10.0.0.1/' } })).toMatchObject({
    status: 400,
  });
  expect(await call('POST', '/v1/batches', { ...batch, metadata: { webhook_url: url } })).toMatchObject({
    status: 400,
    body: { error: { message: expect.stringContaining('"webhook"') } },
  });
});

test('tenants cannot see, change or send to the endpoints of others', async () => {
  const { key } = await createKey(server.bucket, { tenant: 'acme', name: 'a' });
  const { key: other } = await createKey(server.bucket, { tenant: 'other', name: 'b' });
  const as = (k: string) => ({ authorization: `Bearer ${k}` });
  await expect.poll(async () => (await call('GET', PATH)).status, { timeout: 8_000 }).toBe(401);
  const { body: made } = await call('POST', PATH, { url, events: ['batch.completed'] }, as(key));
  const at = `${PATH}/${made.id}`;
  for (const [method, path, body] of [
    ['GET', at, undefined],
    ['POST', at, { description: 'x' }],
    ['POST', `${at}/rotate_secret`, {}],
    ['POST', `${at}/test`, undefined],
    ['GET', `${at}/deliveries`, undefined],
    ['POST', `${at}/deliveries/dlv_${'0'.repeat(32)}/redeliver`, undefined],
    ['DELETE', at, undefined],
  ] as const)
    expect(await call(method, path, body, as(other))).toMatchObject({ status: 404 });
});
