import { WebhookDeliveryObject } from '@batchmill/contract';
import { redeliver } from '@batchmill/webhooks';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';
import { noDelivery } from './errors.ts';

const route = createRoute({
  method: 'post',
  path: '/v1/webhook_endpoints/{endpoint_id}/deliveries/{delivery_id}/redeliver',
  operationId: 'redeliverWebhook',
  tags: ['Webhooks'],
  summary: 'Send an event again',
  description:
    'As a delivery of its own, with the same `webhook-id`: a receiver that remembers ids sees that it had it.',
  request: { params: z.object({ endpoint_id: z.string(), delivery_id: z.string() }) },
  responses: { 200: json('The new delivery', WebhookDeliveryObject), ...ANY_ERROR, 404: ERROR[404], 409: ERROR[409] },
});

export function redeliverWebhookRoute(api: Api, { webhooks }: Deps): void {
  api.openapi(route, async (c) => {
    const { endpoint_id: endpoint, delivery_id: id } = c.req.valid('param');
    const delivery = await redeliver(webhooks, c.get('tenant'), endpoint, id);
    if (delivery === null) throw noDelivery(id);
    return c.json(delivery, 200);
  });
}
