import { UrlSigner } from '@batchmill/files';
import { createKey } from '@batchmill/keys';
import { toFile } from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

test('a signed URL opens one file without a key, until it is over or altered', async () => {
  const { key } = await createKey(server.bucket, { tenant: 'acme', name: 'a' });
  await expect.poll(async () => (await fetch(`${server.url}/v1/files`)).status, { timeout: 8_000 }).toBe(401);
  const upload = async (text: string) =>
    server.client(key).files.create({ file: await toFile(Buffer.from(text), 'a.jsonl'), purpose: 'user_data' });
  const [file, other] = [await upload('the content'), await upload('another')];
  // Another process signs than the one that checks.
  const sign = (seconds: number, id = file.id) => new UrlSigner(server.bucket).sign(server.url, 'acme', id, seconds);
  const good = await sign(60);
  const opened = await fetch(good);
  expect(opened.status).toBe(200);
  expect(await opened.text()).toBe('the content');
  expect((await fetch(good, { method: 'HEAD' })).status).toBe(200);
  expect(await (await fetch(good, { headers: { range: 'bytes=4-6' } })).text()).toBe('con');

  const altered = (change: (url: URL) => void) => {
    const url = new URL(good);
    change(url);
    return url.href;
  };
  for (const url of [
    await sign(-1),
    good.replace(file.id, other.id),
    altered((u) => u.searchParams.set('expires', '99999999999')),
    altered((u) => u.searchParams.set('expires', `${u.searchParams.get('expires')}.0`)),
    altered((u) => u.searchParams.set('expires', ` ${u.searchParams.get('expires')}`)),
    altered((u) => u.searchParams.set('tenant', 'other')),
    altered((u) => u.searchParams.delete('tenant')),
    altered((u) => u.searchParams.set('signature', '')),
    altered((u) => u.searchParams.set('signature', `${u.searchParams.get('signature')?.slice(0, -2)}AA`)),
  ]) {
    const refused = await fetch(url);
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({ error: { code: 'signed_url_invalid' } });
  }
  // It opens this, and nothing else.
  const query = new URL(good).search;
  expect((await fetch(`${server.url}/v1/files/${file.id}${query}`)).status).toBe(401);
  expect((await fetch(`${server.url}/v1/files${query}`)).status).toBe(401);
  expect((await fetch(`${server.url}/v1/files/${file.id}${query}`, { method: 'DELETE' })).status).toBe(401);
  expect((await fetch(good, { method: 'DELETE' })).status).toBe(401);
  await server.client(key).files.delete(file.id);
  expect((await fetch(good)).status).toBe(404);
});
