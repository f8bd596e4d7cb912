import { request } from 'node:http';
import { createKey, revokeKey } from '@batchmill/keys';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { serve } from '../server.ts';
import { startTestServer, type TestServer } from '../test-server.ts';

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer();
});
afterEach(() => server.stop());

/** A request whose headers are ours to choose: fetch would not let us lie about `Host`. */
function ask(path: string, headers: Record<string, string>): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(`${server.url}${path}`, { headers }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    asked.on('error', reject).end();
  });
}

describe('without API keys', () => {
  test.each(['127.0.0.1', 'localhost', 'localhost:9', '[::1]:80', 'batchmill.localhost', '127.8.8.8'])(
    'Host %s is local',
    async (host) => {
      expect((await ask('/v1/files', { host })).status).toBe(200);
    },
  );

  test.each([
    'evil.example',
    'evil.example:8080',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    '10.0.0.1',
    '[::2]',
  ])('Host %s is refused: a name made to point here', async (host) => {
    const { status, body } = await ask('/v1/files', { host });
    expect(status).toBe(403);
    expect(JSON.parse(body)).toMatchObject({ error: { code: 'not_local' } });
    expect(body).toContain('batchmill keys create');
  });

  test("another site's page cannot post a form", async () => {
    for (const [origin, status] of [
      ['https://evil.example', 403],
      ['null', 403],
      ['http://localhost:3000', 200],
    ] as const) {
      expect((await ask('/v1/files', { origin })).status).toBe(status);
    }
  });

  test('only loopback is served', async () => {
    const options = { port: 0, batch: { bucket: server.bucket, trigger: async () => {} } };
    for (const host of ['0.0.0.0', '::', '192.0.2.1']) {
      await expect(serve({ ...options, host })).rejects.toThrow(/batchmill keys create/);
    }
  });

  test('the first key closes the door when what is known of keys is old', async () => {
    expect((await fetch(`${server.url}/v1/files`)).status).toBe(200);
    await createKey(server.bucket, { tenant: 'acme', name: 'a' });
    await expect.poll(async () => (await fetch(`${server.url}/v1/files`)).status, { timeout: 5_000 }).toBe(401);
  });
});

describe('with API keys', () => {
  test('every route under /v1 needs one, also those that do not exist', async () => {
    const { key } = await createKey(server.bucket, { tenant: 'acme', name: 'a' });
    for (const path of ['/v1/files', '/v1/batches', '/v1/models', '/v1/nope', '/v1/files/x/content']) {
      for (const authorization of [
        undefined,
        'Bearer',
        `Bearer ${key}x`,
        `Basic ${key}`,
        `Bearer bm_live_${'A'.repeat(43)}`,
      ]) {
        const headers = authorization === undefined ? {} : { authorization };
        const response = await fetch(`${server.url}${path}`, { headers });
        expect(response.status).toBe(401);
        expect(response.headers.get('www-authenticate')).toBe('Bearer');
        const body = await response.text();
        expect(JSON.parse(body)).toMatchObject({ error: { type: 'authentication_error' } });
        expect(body).not.toContain(key);
      }
    }
    for (const path of ['/healthz', '/readyz', '/openapi.json', '/docs']) {
      expect((await fetch(`${server.url}${path}`)).status).toBe(200);
    }
  });

  test('a key opens the API from anywhere, until it is revoked', async () => {
    const { key, record } = await createKey(server.bucket, { tenant: 'acme', name: 'a' });
    const headers = { authorization: `Bearer ${key}`, host: 'api.example' };
    expect((await ask('/v1/files', headers)).status).toBe(200);
    await revokeKey(server.bucket, record.id);
    await expect.poll(async () => (await ask('/v1/files', headers)).status, { timeout: 5_000 }).toBe(401);
  });

  test('other addresses than loopback are served', async () => {
    await createKey(server.bucket, { tenant: 'acme', name: 'a' });
    const open = await serve({ port: 0, host: '0.0.0.0', batch: { bucket: server.bucket, trigger: async () => {} } });
    const { port } = new URL(open.url);
    expect((await fetch(`http://127.0.0.1:${port}/v1/files`)).status).toBe(401);
    await open.close();
  });
});
