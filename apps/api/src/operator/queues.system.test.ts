import { createKey } from '@batchmill/keys';
import { openQueues } from '@batchmill/queue';
import { chromium } from 'playwright-core';
import { expect, test } from 'vitest';
import { startRedis } from '../../../../test/servers/redis.ts';
import { startTestServer } from '../test-server.ts';

test('an operator sees the queues in a browser, a tenant does not, and nothing can be changed', async () => {
  const redis = await startRedis();
  const queues = await openQueues(redis.url);
  const server = await startTestServer({ queues });
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium' });
  try {
    const { key: operator } = await createKey(server.bucket, { tenant: 'default', name: 'me', operator: true });
    const { key: tenant } = await createKey(server.bucket, { tenant: 'acme', name: 'acme' });
    const batchId = `batch_${'0'.repeat(32)}`;
    await queues.addShards([
      { tenant: 'acme', batchId, shard: 1, lane: 'text', items: 1, priority: 1 },
      { tenant: 'acme', batchId, shard: 2, lane: 'media', items: 1, priority: 1 },
    ]);
    const at = `${server.url}/operator/queues`;
    const asked = await fetch(at);
    expect(asked.status).toBe(401);
    expect(asked.headers.get('www-authenticate')).toMatch(/^Basic /);
    expect((await fetch(at, { headers: { authorization: `Bearer ${tenant}` } })).status).toBe(403);
    const headers = { authorization: `Bearer ${operator}` };
    expect((await fetch(`${at}/api/queues/batchmill-infer-text/obliterate`, { method: 'PUT', headers })).status).toBe(
      404,
    );

    const page = await browser.newPage({
      httpCredentials: { username: 'me', password: operator },
      viewport: { width: 1280, height: 800 },
    });
    const complaints: string[] = [];
    const requested: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => requested.push(request.url()));
    await page.goto(at);
    await page.getByText('batchmill-infer-text').first().waitFor();
    for (const name of ['reconcile', 'sweep', 'deliver', 'infer-media'])
      expect(await page.getByText(`batchmill-${name}`).count()).toBeGreaterThan(0);
    if (process.env.SCREENSHOT !== undefined) await page.screenshot({ path: `${process.env.SCREENSHOT}/queues.png` });
    await page.goto(`${at}/queue/batchmill-infer-text`);
    await page.getByText(`${batchId}.1`).first().waitFor();
    if (process.env.SCREENSHOT !== undefined) await page.screenshot({ path: `${process.env.SCREENSHOT}/queue.png` });
    expect(complaints).toEqual([]);
    expect(requested.filter((url) => !url.startsWith(server.url) && !url.startsWith('data:'))).toEqual([]);
  } finally {
    await browser.close();
    await server.stop();
    await queues.close();
    await redis.stop();
  }
});
