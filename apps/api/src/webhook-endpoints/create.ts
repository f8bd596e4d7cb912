import { WebhookEndpointCreate, WebhookEndpointObject } from '@batchmill/contract';
import { createEndpoint } from '@batchmill/webhooks';
import { createRoute } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { jsonLimit } from '../http/json-limit.ts';
import { ANY_ERROR, BODY_ERROR, json, jsonBody } from '../openapi.ts';

export function createWebhookEndpointRoute(api: Api, { bucket, limits, webhooks }: Deps): void {
  const route = createRoute({
    method: 'post',
    path: '/v1/webhook_endpoints',
    operationId: 'createWebhookEndpoint',
    tags: ['Webhooks'],
    summary: 'Have events posted to a URL',
    description: 'Signed as Standard Webhooks; the secret is shown in this answer only.',
    middleware: jsonLimit(limits.jsonBytes),
    request: { body: jsonBody(WebhookEndpointCreate) },
    responses: {
      200: json('The endpoint', WebhookEndpointObject),
      ...ANY_ERROR,
      ...BODY_ERROR,
    },
  });
  api.openapi(route, async (c) =>
    c.json(await createEndpoint(bucket, webhooks.guard, c.get('tenant'), c.req.valid('json')), 200),
  );
}
