import { WebhookEndpointObject } from '@batchmill/contract';
import { readEndpoint, viewEndpoint } from '@batchmill/webhooks';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';
import { noEndpoint } from './errors.ts';

const route = createRoute({
  method: 'get',
  path: '/v1/webhook_endpoints/{endpoint_id}',
  operationId: 'getWebhookEndpoint',
  tags: ['Webhooks'],
  summary: 'Describe an endpoint',
  request: { params: z.object({ endpoint_id: z.string() }) },
  responses: { 200: json('The endpoint', WebhookEndpointObject), ...ANY_ERROR, 404: ERROR[404] },
});

export function getWebhookEndpointRoute(api: Api, { bucket }: Deps): void {
  api.openapi(route, async (c) => {
    const id = c.req.valid('param').endpoint_id;
    const fact = await readEndpoint(bucket, c.get('tenant'), id);
    if (fact === null) throw noEndpoint(id);
    return c.json(viewEndpoint(fact), 200);
  });
}
