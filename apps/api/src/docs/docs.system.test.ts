import { chromium } from 'playwright-core';
import { expect, test } from 'vitest';
import { startTestServer } from '../test-server.ts';

test('the reference page renders in a browser under its own policy', async () => {
  const server = await startTestServer();
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium' });
  try {
    const page = await browser.newPage();
    const complaints: string[] = [];
    const requested: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => requested.push(request.url()));
    await page.goto(`${server.url}/docs`);
    await page.getByRole('heading', { name: /Batchmill/ }).waitFor();
    for (const path of ['/v1/files', '/v1/uploads/{upload_id}/parts', '/v1/batches/{batch_id}/cancel', '/readyz']) {
      await page.locator(`[data-path="${path}"]`).first().waitFor();
    }
    // One call from the page itself: it must reach the API and show its answer.
    await page.locator('#operations-Models-listModels').getByRole('button').first().click();
    await page.getByRole('button', { name: 'Try it out' }).click();
    await page.getByRole('button', { name: 'Execute' }).click();
    await page.locator('.live-responses-table').getByText('"object": "list"').waitFor();
    expect(complaints).toEqual([]);
    expect(requested.filter((url) => !url.startsWith(server.url) && !url.startsWith('data:'))).toEqual([]);
  } finally {
    await browser.close();
    await server.stop();
  }
});
