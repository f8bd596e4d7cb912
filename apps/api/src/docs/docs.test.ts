import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { startTestServer, type TestServer } from '../test-server.ts';

const Document = z.object({
  openapi: z.literal('3.1.0'),
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({
        operationId: z.string(),
        requestBody: z.object({ content: z.record(z.string(), z.unknown()) }).optional(),
        responses: z.record(
          z.string(),
          // A redirect has no content.
          z.object({ description: z.string(), content: z.record(z.string(), z.unknown()).default({}) }),
        ),
      }),
    ),
  ),
  components: z.object({ schemas: z.record(z.string(), z.unknown()) }),
});

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

async function load() {
  const response = await fetch(`${server.url}/openapi.json`);
  expect(response.headers.get('content-type')).toContain('application/json');
  const text = await response.text();
  return { text, document: Document.parse(JSON.parse(text)) };
}

test('every route is in /openapi.json, with its errors', async () => {
  const { document } = await load();
  const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(routes.sort()).toEqual([
    'DELETE /v1/batches/{batch_id}',
    'DELETE /v1/files/{file_id}',
    'DELETE /v1/triggers/{trigger_id}',
    'DELETE /v1/webhook_endpoints/{endpoint_id}',
    'GET /healthz',
    'GET /readyz',
    'GET /v1/autoscale/{lane}',
    'GET /v1/batches',
    'GET /v1/batches/{batch_id}',
    'GET /v1/batches/{batch_id}/results',
    'GET /v1/files',
    'GET /v1/files/{file_id}',
    'GET /v1/files/{file_id}/content',
    'GET /v1/models',
    'GET /v1/models/{model}',
    'GET /v1/triggers',
    'GET /v1/triggers/{trigger_id}',
    'GET /v1/webhook_endpoints',
    'GET /v1/webhook_endpoints/{endpoint_id}',
    'GET /v1/webhook_endpoints/{endpoint_id}/deliveries',
    'POST /v1/batches',
    'POST /v1/batches/estimate',
    'POST /v1/batches/{batch_id}/cancel',
    'POST /v1/batches/{batch_id}/retry',
    'POST /v1/files',
    'POST /v1/moderations',
    'POST /v1/triggers',
    'POST /v1/triggers/{trigger_id}',
    'POST /v1/triggers/{trigger_id}/events',
    'POST /v1/triggers/{trigger_id}/rotate_secret',
    'POST /v1/triggers/{trigger_id}/test',
    'POST /v1/uploads',
    'POST /v1/uploads/{upload_id}/cancel',
    'POST /v1/uploads/{upload_id}/complete',
    'POST /v1/uploads/{upload_id}/part_urls',
    'POST /v1/uploads/{upload_id}/parts',
    'POST /v1/webhook_endpoints',
    'POST /v1/webhook_endpoints/{endpoint_id}',
    'POST /v1/webhook_endpoints/{endpoint_id}/deliveries/{delivery_id}/redeliver',
    'POST /v1/webhook_endpoints/{endpoint_id}/rotate_secret',
    'POST /v1/webhook_endpoints/{endpoint_id}/test',
  ]);
  for (const [path, methods] of Object.entries(document.paths)) {
    if (!path.startsWith('/v1/')) continue;
    for (const operation of Object.values(methods)) {
      for (const status of ['401', '403', '500', '503']) {
        expect(operation.responses[status]?.content['application/json']).toEqual({
          schema: { $ref: '#/components/schemas/Error' },
        });
      }
      // Lanes are three, and another name is a bad request.
      if (path.includes('{') && !path.includes('{lane}')) expect(operation.responses).toHaveProperty('404');
    }
  }
  const names = Object.values(document.paths).flatMap((methods) => Object.values(methods).map((o) => o.operationId));
  expect(new Set(names).size).toBe(names.length);
});

test('every reference in it leads somewhere, and the forms are described', async () => {
  const { text, document } = await load();
  const referenced = [...text.matchAll(/#\/components\/schemas\/(\w+)/g)].map((m) => m[1] ?? '');
  expect(referenced.length).toBeGreaterThan(20);
  for (const name of referenced) expect(document.components.schemas).toHaveProperty(name);
  expect(document.paths['/v1/files']?.post?.requestBody?.content).toHaveProperty('multipart/form-data');
  expect(document.paths['/v1/uploads/{upload_id}/parts']?.post?.requestBody?.content).toHaveProperty(
    'multipart/form-data',
  );
});

test('the page and all it loads come from here, under a policy that allows nothing else', async () => {
  const page = await fetch(`${server.url}/docs`);
  const policy = page.headers.get('content-security-policy') ?? '';
  expect(policy).toContain("script-src 'self'");
  expect(policy).not.toMatch(/unsafe|https?:/);
  const html = await page.text();
  const links = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((m) => m[1] ?? '');
  expect(links.length).toBeGreaterThanOrEqual(5);
  for (const link of links) {
    expect(link).toMatch(/^\/[^/]/);
    const asset = await fetch(`${server.url}${link}`);
    expect(asset.status).toBe(200);
    expect((await asset.arrayBuffer()).byteLength).toBeGreaterThan(50);
  }
  expect(html).not.toMatch(/<script>|<style|onload=|style=/);
});
