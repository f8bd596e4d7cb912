import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKey } from '@batchmill/keys';
import { loadPolicies } from '@batchmill/safety';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../test-server.ts';

let server: TestServer;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-policies-'));
  await mkdir(join(folder, 'tenants'));
  const policy = (name: string, filters: string) => `version: 1\nname: ${name}\nfilters:\n  ${filters}\n`;
  await writeFile(join(folder, 'default.yaml'), policy('default', 'personal_data: {}'));
  await writeFile(join(folder, 'tenants', 'acme.yaml'), policy('acme', 'lexicon: {words: {rivals: [Globex]}}'));
  server = await startTestServer({ policies: await loadPolicies(folder) });
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

test('the openai SDK gets a result for each text', async () => {
  const { id, results } = await server
    .client()
    .moderations.create({ input: ['Write to joe@example.com', 'Nothing here.'] });
  expect(id).toMatch(/^modr-/);
  expect(results).toHaveLength(2);
  expect(results[0]).toMatchObject({
    flagged: true,
    categories: { hate: false, 'sexual/minors': false },
    findings: [{ category: 'personal_data', label: 'email', spans: [{ start: 9, end: 24 }] }],
    looked_for: ['sexual_minors', 'personal_data'],
  });
  expect(results[1]).toMatchObject({ flagged: false, findings: [] });
});

test('what is always looked for is in it', async () => {
  const { results } = await server.client().moderations.create({ input: 'An erotic story about a child.' });
  expect(results[0]).toMatchObject({ flagged: true, categories: { 'sexual/minors': true } });
  expect(results[0]?.category_scores['sexual/minors']).toBe(1);
});

test('each account is judged by its own policy, and texts that are none are refused', async () => {
  const { key } = await createKey(server.bucket, { tenant: 'acme', name: 'a' });
  const { key: other } = await createKey(server.bucket, { tenant: 'other', name: 'b' });
  const flagged = async (as: string) =>
    (await server.client(as).moderations.create({ input: 'Globex is better.' })).results[0]?.flagged;
  await expect.poll(() => flagged(key), { timeout: 8_000 }).toBe(true);
  expect(await flagged(other)).toBe(false);
  await expect(server.client(key).moderations.create({ input: [] })).rejects.toMatchObject({ status: 400 });
  await expect(server.client('wrong').moderations.create({ input: 'x' })).rejects.toMatchObject({ status: 401 });
});

const post = async (body: string, headers: Record<string, string> = {}) => {
  const response = await fetch(`${server.url}/v1/moderations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer none', ...headers },
    body,
  });
  const json: unknown = await response.json();
  return { status: response.status, json };
};

describe('a service without keys', () => {
  let open: TestServer;
  beforeAll(async () => {
    open = await startTestServer();
  });
  afterAll(() => open.stop());
  const at = async (body: string, type = 'application/json') => {
    const response = await fetch(`${open.url}/v1/moderations`, {
      method: 'POST',
      headers: { 'content-type': type },
      body,
    });
    const json: unknown = await response.json();
    return { status: response.status, json };
  };

  test('text parts are judged as one text; the model asked for changes nothing', async () => {
    const parts = ['Judge this.', 'An erotic story about a child.'].map((text) => ({ type: 'text', text }));
    const { status, json } = await at(JSON.stringify({ input: parts, model: 'omni-moderation-latest' }));
    expect(status).toBe(200);
    expect(json).toMatchObject({ model: expect.stringMatching(/^policy:/), results: [{ flagged: true }] });
    expect(json).toHaveProperty('results.length', 1);
  });

  test.each<[string, string, number, object]>([
    ['{}', 'application/json', 400, { param: 'input', code: 'missing_required_parameter' }],
    ['{"input": []}', 'application/json', 400, { param: 'input' }],
    ['{"input": 7}', 'application/json', 400, { param: 'input' }],
    [
      '{"input": [{"type": "image_url", "image_url": {"url": "https://x"}}]}',
      'application/json',
      400,
      { code: 'invalid_value' },
    ],
    [JSON.stringify({ input: Array(1_001).fill('a') }), 'application/json', 400, { param: 'input' }],
    ['{"input": ', 'application/json', 400, { code: 'invalid_json' }],
    ['{"input": "a"}', 'text/plain', 415, { code: 'unsupported_media_type' }],
    [JSON.stringify({ input: 'a'.repeat(2 ** 20) }), 'application/json', 413, { code: 'content_too_large' }],
  ])('refused: %.70s', async (body, type, status, error) => {
    expect(await at(body, type)).toMatchObject({ status, json: { error } });
  });
});

test('neither the texts nor what was found in them is in the answer to anybody else', async () => {
  expect(await post('{"input": "joe@example.com"}')).toMatchObject({ status: 401 });
  const { key } = await createKey(server.bucket, { tenant: 'other', name: 'c' });
  const { status, json } = await post('{"input": "Write to joe@example.com"}', { authorization: `Bearer ${key}` });
  expect(status).toBe(200);
  expect(JSON.stringify(json)).not.toContain('joe');
});
