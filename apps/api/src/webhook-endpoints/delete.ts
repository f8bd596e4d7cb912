import { WebhookEndpointDeleted } from '@batchmill/contract';
import { deleteEndpoint } from '@batchmill/webhooks';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';
import { noEndpoint } from './errors.ts';

const route = createRoute({
  method: 'delete',
  path: '/v1/webhook_endpoints/{endpoint_id}',
  operationId: 'deleteWebhookEndpoint',
  tags: ['Webhooks'],
  summary: 'Delete an endpoint',
  description: 'What waits to be delivered to it is given up.',
  request: { params: z.object({ endpoint_id: z.string() }) },
  responses: { 200: json('It is gone', WebhookEndpointDeleted), ...ANY_ERROR, 404: ERROR[404] },
});

export function deleteWebhookEndpointRoute(api: Api, { bucket }: Deps): void {
  api.openapi(route, async (c) => {
    const id = c.req.valid('param').endpoint_id;
    if (!(await deleteEndpoint(bucket, c.get('tenant'), id))) throw noEndpoint(id);
    return c.json({ id, object: 'webhook_endpoint' as const, deleted: true as const }, 200);
  });
}
