import { createKey } from '@batchmill/keys';
import { toFile } from 'openai';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../test-server.ts';

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer({ quota: { batches: 2, items: null, bytes: null, requestsPerSecond: 20 } });
});
afterEach(() => server.stop());

async function create(key?: string, lines = '{}\n') {
  const client = server.client(key);
  const file = await client.files.create({ file: await toFile(Buffer.from(lines), 'a'), purpose: 'batch' });
  return client.batches.create({
    input_file_id: file.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });
}

test('the quota of the settings holds for who has none of its own, and is told clearly', async () => {
  await create();
  await create();
  const error = await create().catch((e: unknown) => e);
  expect(error).toMatchObject({ status: 429, code: 'quota_exceeded', type: 'rate_limit_error' });
  expect(error).toHaveProperty('message', expect.stringMatching(/may have 2 batches .* has 2/));
  const headers = Object(error).headers;
  expect([headers.get('x-should-retry'), headers.get('retry-after')]).toEqual(['false', '60']);
});

test("a key's own quota comes before that of the settings", async () => {
  const few = await createKey(server.bucket, { tenant: 'acme', name: 'few', quota: { items: 3 } });
  const any = await createKey(server.bucket, { tenant: 'acme', name: 'any', quota: { batches: null } });
  await create(few.key, '{}\n{}\n');
  await expect(create(few.key, '{}\n{}\n')).rejects.toMatchObject({ status: 429, code: 'quota_exceeded' });
  await create(few.key, '{}\n');
  await expect(create(few.key)).rejects.toMatchObject({ status: 429 });
  for (let i = 0; i < 4; i++) await create(any.key);
});

test('requests over the rate are 429 with the time to wait, of that key alone', async () => {
  const quick = await createKey(server.bucket, { tenant: 'acme', name: 'quick', quota: { requests_per_second: 3 } });
  const other = await createKey(server.bucket, { tenant: 'acme', name: 'other', quota: { requests_per_second: null } });
  const ask = (key: string) =>
    fetch(`${server.url}/v1/models`, { headers: { authorization: `Bearer ${key}` } }).then(async (response) => ({
      status: response.status,
      headers: response.headers,
      json: Object(await response.json()),
    }));
  // A window of a second may end between them: within ten requests it does at most a few times.
  const answers = await Promise.all(Array.from({ length: 40 }, () => ask(quick.key)));
  const refused = answers.filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThan(20);
  expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(3);
  for (const { headers, json } of refused) {
    expect(json.error).toMatchObject({ code: 'rate_limit_exceeded', type: 'rate_limit_error' });
    expect(headers.get('x-should-retry')).toBe('true');
    expect(headers.get('retry-after')).toBe('1');
    expect(Number(headers.get('retry-after-ms'))).toBeGreaterThan(0);
  }
  for (const { status } of await Promise.all(Array.from({ length: 40 }, () => ask(other.key))))
    expect(status).toBe(200);
  // Who has no key at all does not use up anybody's.
  for (let i = 0; i < 40; i++) expect((await ask('nonsense')).status).toBe(401);
  await expect.poll(async () => (await ask(quick.key)).status, { timeout: 5_000 }).toBe(200);
});
