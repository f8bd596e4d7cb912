import { WebhookDeliveryObject } from '@batchmill/contract';
import { listDeliveries, readEndpoint } from '@batchmill/webhooks';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';
import { noEndpoint } from './errors.ts';

const List = z
  .object({
    object: z.literal('list'),
    data: z.array(WebhookDeliveryObject),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
    has_more: z.boolean(),
  })
  .meta({ id: 'WebhookDeliveryList' });

const route = createRoute({
  method: 'get',
  path: '/v1/webhook_endpoints/{endpoint_id}/deliveries',
  operationId: 'listWebhookDeliveries',
  tags: ['Webhooks'],
  summary: 'What was sent to an endpoint, newest first',
  request: {
    params: z.object({ endpoint_id: z.string() }),
    query: z.object({
      after: z
        .string()
        .regex(/^dlv_[0-9a-f]{32}$/, 'must be the id of a delivery')
        .optional(),
      limit: z.coerce.number().int().min(1).max(100).default(20),
    }),
  },
  responses: { 200: json('The deliveries', List), ...ANY_ERROR, 400: ERROR[400], 404: ERROR[404] },
});

export function listWebhookDeliveriesRoute(api: Api, { bucket }: Deps): void {
  api.openapi(route, async (c) => {
    const id = c.req.valid('param').endpoint_id;
    const { after, limit } = c.req.valid('query');
    if ((await readEndpoint(bucket, c.get('tenant'), id)) === null) throw noEndpoint(id);
    const options = { limit, ...(after === undefined ? {} : { after }) };
    return c.json(await listDeliveries(bucket, c.get('tenant'), id, options), 200);
  });
}
