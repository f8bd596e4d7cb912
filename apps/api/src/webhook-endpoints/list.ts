import { WebhookEndpointObject } from '@batchmill/contract';
import { listEndpoints, viewEndpoint } from '@batchmill/webhooks';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { ANY_ERROR, json } from '../openapi.ts';

const List = z
  .object({ object: z.literal('list'), data: z.array(WebhookEndpointObject) })
  .meta({ id: 'WebhookEndpointList' });

const route = createRoute({
  method: 'get',
  path: '/v1/webhook_endpoints',
  operationId: 'listWebhookEndpoints',
  tags: ['Webhooks'],
  summary: 'All endpoints, oldest first',
  responses: { 200: json('The endpoints', List), ...ANY_ERROR },
});

export function listWebhookEndpointsRoute(api: Api, { bucket }: Deps): void {
  api.openapi(route, async (c) => {
    const data = (await listEndpoints(bucket, c.get('tenant'))).map((fact) => viewEndpoint(fact));
    return c.json({ object: 'list' as const, data }, 200);
  });
}
