import { createHmac } from 'node:crypto';
import { readFile } from '@batchmill/files';
import { createKey } from '@batchmill/keys';
import { sweepWindows } from '@batchmill/triggers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { startTestServer, type TestServer } from '../test-server.ts';

/** All that any answer here may have; what is not there fails where it is looked for. */
const Answer = z.looseObject({
  id: z.string().default(''),
  secret: z.string().default(''),
  events_path: z.string().default(''),
  items: z.array(z.object({ batch_id: z.string(), item_id: z.string(), duplicate: z.boolean() })).default([]),
  data: z.array(z.object({ id: z.string() })).default([]),
});

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

const call = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return { status: response.status, headers: response.headers, body: Answer.parse(await response.json()) };
};
const template = {
  task: 'chat',
  body: { model: 'default', messages: [{ role: 'user', content: 'Summarise: {{ data.text }}' }] },
};
const make = (more: Record<string, unknown> = {}) =>
  call('POST', '/v1/triggers', {
    name: 'forms',
    source: { type: 'json' },
    template,
    limits: { max_wait_seconds: 1 },
    ...more,
  });

/** custom_id → body of the items of a batch, once it is there. */
async function itemsOf(batchId: string) {
  const batch = await server.client().batches.retrieve(batchId);
  let text = '';
  for await (const chunk of (await readFile(server.bucket, 'default', batch.input_file_id)) ?? [])
    text += Buffer.from(chunk);
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

test('an event becomes an item of a batch', async () => {
  const { status, body: trigger } = await make();
  expect(status).toBe(200);
  expect(trigger).toMatchObject({ object: 'trigger', name: 'forms', source: { type: 'json' }, disabled: false });
  expect(trigger.secret).toMatch(/^[\w-]{43}$/);
  const auth = { authorization: `Bearer ${trigger.secret}` };
  const posted = await call('POST', trigger.events_path, { text: 'hello' }, auth);
  expect(posted).toMatchObject({
    status: 202,
    body: { trigger_id: trigger.id, filtered: 0, items: [{ duplicate: false }] },
  });
  const again = await call('POST', trigger.events_path, { text: 'hello' }, auth);
  expect(again.body.items).toEqual([{ ...posted.body.items[0], duplicate: true }]);
  const { batch_id: batchId = '', item_id: itemId = '' } = posted.body.items[0] ?? {};
  await expect.poll(() => server.triggered, { timeout: 5_000 }).toContain(batchId);
  expect(await itemsOf(batchId)).toEqual([
    {
      custom_id: itemId,
      method: 'POST',
      url: '/v1/chat/completions',
      body: expect.objectContaining({ messages: [{ role: 'user', content: 'Summarise: hello' }] }),
    },
  ]);
  expect((await server.client().batches.retrieve(batchId)).metadata).toMatchObject({ trigger_id: trigger.id });
});

test('a form with a file becomes a file and an item', async () => {
  const { body: trigger } = await make({
    source: { type: 'form' },
    template: {
      task: 'ocr',
      body: { model: 'default', document: { type: 'file', file_id: '{{ files[0].file_id }}' } },
    },
  });
  const form = new FormData();
  form.set('note', 'scan');
  form.set('file', new File(['%PDF-1.7'], 'scan.pdf', { type: 'application/pdf' }));
  const post = (headers: Record<string, string>) =>
    fetch(`${server.url}${trigger.events_path}`, { method: 'POST', body: form, headers });
  const response = await post({ authorization: `Bearer ${trigger.secret}` });
  expect(response.status).toBe(202);
  const { items } = Answer.parse(await response.json());
  await expect.poll(() => server.triggered, { timeout: 5_000 }).toContain(items[0]?.batch_id ?? '');
  const [item] = await itemsOf(items[0]?.batch_id ?? '');
  expect((await server.client().files.retrieve(item.body.document.file_id)).filename).toBe('scan.pdf');
  const files = async () => (await server.keys()).filter((key) => key.startsWith('files/'));
  const before = await files();
  expect((await post({ authorization: 'Bearer nonsense-nonsense' })).status).toBe(401);
  expect(await files()).toEqual(before);
});

test('a form may bring several files in any field; none stays of what became no item', async () => {
  const { body: made } = await make({
    source: { type: 'form' },
    template: {
      task: 'ocr',
      filter: { suffix: '.pdf', content_type: 'application/pdf', max_bytes: 100, when: 'data.note != "no"' },
      body: {
        model: 'default',
        document: { type: 'file', file_id: "{{ files[field = 'second'].file_id }}" },
        pages: '{{ data.pages }}',
      },
    },
    sample_event: { note: 'yes' },
  });
  const files = () => server.client().files.list();
  const before = (await files()).data.length;
  const post = async (fields: Record<string, string>, headers: Record<string, string> = {}, name = 'a.pdf') => {
    const form = new FormData();
    for (const [key, value] of Object.entries(fields)) form.set(key, value);
    form.set('first', new File(['%PDF-1.7 a'], name, { type: 'application/pdf' }));
    form.set('second', new File(['%PDF-1.7 b'], 'b.pdf', { type: 'application/pdf' }));
    const authorization = `Bearer ${made.secret}`;
    const response = await fetch(`${server.url}${made.events_path}`, {
      method: 'POST',
      body: form,
      headers: { authorization, ...headers },
    });
    return { status: response.status, body: Answer.parse(await response.json()) };
  };
  const first = await post({ note: 'yes' }, { 'idempotency-key': 'scan-1' });
  expect(first).toMatchObject({ status: 202, body: { items: [{ duplicate: false }] } });
  expect((await files()).data.length).toBe(before + 2);
  const again = await post({ note: 'yes' }, { 'idempotency-key': 'scan-1' });
  expect(again).toMatchObject({ status: 202, body: { items: [{ duplicate: true }] } });
  expect(await post({ note: 'no' })).toMatchObject({ status: 202, body: { filtered: 1 } });
  expect(await post({ note: 'yes' }, {}, 'a.exe')).toMatchObject({ status: 202, body: { filtered: 1 } });
  expect(await post({ note: 'yes', pages: 'all of them' })).toMatchObject({ status: 422 });
  expect((await files()).data.length).toBe(before + 2);
  expect((await server.keys()).filter((key) => /^files\/.*\/content$/.test(key))).toHaveLength(
    (await server.keys()).filter((key) => /^files\/.*\/meta\.json$/.test(key)).length,
  );
  const batchId = first.body.items[0]?.batch_id ?? '';
  await expect.poll(() => server.triggered, { timeout: 5_000 }).toContain(batchId);
  const [item] = await itemsOf(batchId);
  expect((await server.client().files.retrieve(item.body.document.file_id)).filename).toBe('b.pdf');
});

test('a secret is changed while both count, then the new one alone', async () => {
  const { body: trigger } = await make();
  const post = (secret: string, text: string) =>
    call('POST', trigger.events_path, { text }, { authorization: `Bearer ${secret}` });
  const path = `/v1/triggers/${trigger.id}/rotate_secret`;
  const { body: second } = await call('POST', path, {});
  expect(second.secret).toMatch(/^[\w-]{43}$/);
  await expect.poll(async () => (await post(second.secret, 'a')).status, { timeout: 8_000 }).toBe(202);
  expect((await post(trigger.secret, 'b')).status).toBe(202);
  const { body: third } = await call('POST', path, { overlap_seconds: 0, secret: 'a-secret-of-my-own' });
  expect(third.secret).toBe('a-secret-of-my-own');
  await expect.poll(async () => (await post(third.secret, 'c')).status, { timeout: 8_000 }).toBe(202);
  for (const old of [trigger.secret, second.secret]) expect((await post(old, 'd')).status).toBe(401);
  expect(await call('POST', path, { secret: 'short' })).toMatchObject({ status: 400 });
  expect(await call('POST', `/v1/triggers/trg_${'0'.repeat(32)}/rotate_secret`, {})).toMatchObject({ status: 404 });
});

test('a sender of CloudEvents may ask first whether they are wanted', async () => {
  const { body: trigger } = await make({ source: { type: 'cloudevents' } });
  const ask = (path: string) =>
    fetch(`${server.url}${path}`, { method: 'OPTIONS', headers: { 'webhook-request-origin': 'eventgrid.azure.net' } });
  const answer = await ask(trigger.events_path);
  expect(answer.status).toBe(204);
  expect(answer.headers.get('webhook-allowed-origin')).toBe('eventgrid.azure.net');
  expect(answer.headers.get('webhook-allowed-rate')).toBe('60000');
  const { body: other } = await make();
  expect((await ask(other.events_path)).headers.get('webhook-allowed-origin')).toBeNull();
  expect((await ask(`/v1/triggers/trg_${'0'.repeat(32)}/events`)).status).toBe(404);
});

test('a request with more events than one may have is refused whole', async () => {
  const { body: trigger } = await make({ source: { type: 'cloudevents' } });
  const headers = {
    authorization: `Bearer ${trigger.secret}`,
    'content-type': 'application/cloudevents-batch+json',
  };
  const event = (n: number) => ({ specversion: '1.0', id: `${n}`, source: 's', type: 't', data: { text: `${n}` } });
  const many = JSON.stringify(Array.from({ length: 10_001 }, (_, n) => event(n)));
  expect((await call('POST', trigger.events_path, many, headers)).status).toBe(413);
  const some = JSON.stringify(Array.from({ length: 500 }, (_, n) => event(n)));
  const taken = await call('POST', trigger.events_path, some, headers);
  expect(taken.body.items).toHaveLength(500);
});

test('who cannot show the secret, or posts nonsense, changes nothing', async () => {
  const secret = 'a-secret-of-github-s';
  const { body: trigger } = await make({ source: { type: 'github', secret } });
  const event = JSON.stringify({ text: 'x' });
  const signed = (body: string, by = secret) => ({
    'x-hub-signature-256': `sha256=${createHmac('sha256', by).update(body).digest('hex')}`,
  });
  const ofTrigger = async () => (await server.keys()).filter((key) => key.includes(trigger.id));
  const before = await ofTrigger();
  expect(await call('POST', trigger.events_path, event, signed(event, 'another'))).toMatchObject({ status: 401 });
  expect(await call('POST', trigger.events_path, event)).toMatchObject({
    status: 401,
    body: { error: { code: 'event_not_verified' } },
  });
  expect(await call('POST', trigger.events_path, '{', signed('{'))).toMatchObject({ status: 400 });
  const large = JSON.stringify({ text: 'x'.repeat(2 ** 20) });
  expect(await call('POST', trigger.events_path, large, signed(large))).toMatchObject({ status: 413 });
  expect(await call('POST', `/v1/triggers/trg_${'0'.repeat(32)}/events`, event)).toMatchObject({ status: 404 });
  expect(await call('POST', '/v1/triggers/..%2Fx/events', event)).toMatchObject({ status: 404 });
  expect(await ofTrigger()).toEqual(before);
  expect((await call('POST', trigger.events_path, event, signed(event))).status).toBe(202);
});

test('an event the template cannot use is refused with the reason; one the filter keeps out is taken', async () => {
  const { body: trigger } = await make({
    template: {
      ...template,
      body: { ...template.body, max_tokens: '{{ data.most }}' },
      filter: { when: 'data.text != "no"' },
    },
  });
  const auth = { authorization: `Bearer ${trigger.secret}` };
  expect(await call('POST', trigger.events_path, { text: 'a', most: 'many' }, auth)).toMatchObject({
    status: 422,
    body: { error: { code: 'invalid_template', message: expect.stringContaining('max_tokens') } },
  });
  expect(await call('POST', trigger.events_path, { text: 'no' }, auth)).toMatchObject({
    status: 202,
    body: { items: [], filtered: 1 },
  });
});

test('too many requests are told when to come again', async () => {
  const { body: trigger } = await make({ limits: { requests_per_second: 1, max_wait_seconds: 1 } });
  const auth = { authorization: `Bearer ${trigger.secret}` };
  const answers = await Promise.all([1, 2, 3].map((n) => call('POST', trigger.events_path, { text: `${n}` }, auth)));
  const refused = answers.filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThan(0);
  expect(refused[0]?.headers.get('retry-after')).toBe('1');
});

test('triggers can be listed, changed, tried, switched off and deleted; the secret is shown once', async () => {
  const { body: trigger } = await make({ name: 'first' });
  const path = `/v1/triggers/${trigger.id}`;
  const got = await call('GET', path);
  expect(got.body.secret).toBe('');
  expect((await call('GET', '/v1/triggers')).body.data.map((t: { id: string }) => t.id)).toContain(trigger.id);
  const changed = await call('POST', path, { name: 'second', disabled: true });
  expect(changed.body).toMatchObject({ name: 'second', disabled: true, template: got.body.template });
  const limited = await call('POST', path, { limits: { max_items: 7 } });
  expect(limited.body).toMatchObject({ limits: { max_items: 7, max_wait_seconds: 1 } });
  const tried = await call('POST', `${path}/test`, { event: { text: 'hi' } });
  expect(tried.body.events).toMatchObject([{ item: { url: '/v1/chat/completions' }, error: null }]);
  expect(await call('DELETE', path)).toMatchObject({ status: 200, body: { deleted: true } });
  expect(await call('GET', path)).toMatchObject({ status: 404 });
  expect(await call('DELETE', path)).toMatchObject({ status: 404 });
});

test.each([
  [{ template: { ...template, body: { messages: '{{ data. }}' } } }, /no JSONata expression/],
  [
    { sample_event: {}, template: { ...template, body: { model: 'm', messages: '{{ data.none }}' } } },
    /messages.*sample event/,
  ],
  [{ source: { type: 'pigeon' } }, /source/],
  [{ source: { type: 'json', secret: 'short' } }, /16 characters/],
  [{ content_policy: 'none-such' }, /No such content policy/],
])('a wrong trigger is refused with the reason: %j', async (more, message) => {
  expect(await make(more)).toMatchObject({ status: 400, body: { error: { message: expect.stringMatching(message) } } });
});

test('tenants cannot see or change the triggers of others', async () => {
  const { key } = await createKey(server.bucket, { tenant: 'acme', name: 'a' });
  const { key: other } = await createKey(server.bucket, { tenant: 'other', name: 'b' });
  const as = (k: string) => ({ authorization: `Bearer ${k}` });
  await expect.poll(async () => (await call('GET', '/v1/triggers')).status, { timeout: 8_000 }).toBe(401);
  const { body: trigger } = await call(
    'POST',
    '/v1/triggers',
    { name: 'mine', source: { type: 'json' }, template },
    as(key),
  );
  const path = `/v1/triggers/${trigger.id}`;
  for (const [method, at, body] of [
    ['GET', path, undefined],
    ['POST', path, { name: 'x' }],
    ['POST', `${path}/test`, { event: {} }],
    ['POST', `${path}/rotate_secret`, {}],
    ['DELETE', path, undefined],
  ] as const)
    expect(await call(method, at, body, as(other))).toMatchObject({ status: 404 });
  // The sender needs no API key, and its events land at the trigger's tenant.
  const posted = await call('POST', trigger.events_path, { text: 'x' }, { authorization: `Bearer ${trigger.secret}` });
  expect(posted.status).toBe(202);
  await sweepWindows({ bucket: server.bucket, trigger: async () => {} }, Date.now() + 60_000);
  expect((await server.keys()).some((k) => k.startsWith(`batches/acme/${posted.body.items[0]?.batch_id}`))).toBe(true);
});
