import { WebhookEndpointObject, WebhookEndpointUpdate } from '@batchmill/contract';
import { updateEndpoint } from '@batchmill/webhooks';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { jsonLimit } from '../http/json-limit.ts';
import { ANY_ERROR, BODY_ERROR, ERROR, json, jsonBody } from '../openapi.ts';
import { noEndpoint } from './errors.ts';

export function updateWebhookEndpointRoute(api: Api, { bucket, limits, webhooks }: Deps): void {
  const route = createRoute({
    method: 'post',
    path: '/v1/webhook_endpoints/{endpoint_id}',
    operationId: 'updateWebhookEndpoint',
    tags: ['Webhooks'],
    summary: 'Change an endpoint',
    description: 'What is left out stays. `disabled: false` switches it on again; what happened meanwhile is not sent.',
    middleware: jsonLimit(limits.jsonBytes),
    request: {
      params: z.object({ endpoint_id: z.string() }),
      body: jsonBody(WebhookEndpointUpdate),
    },
    responses: {
      200: json('The endpoint', WebhookEndpointObject),
      ...ANY_ERROR,
      ...BODY_ERROR,
      404: ERROR[404],
    },
  });
  api.openapi(route, async (c) => {
    const id = c.req.valid('param').endpoint_id;
    const endpoint = await updateEndpoint(bucket, webhooks.guard, c.get('tenant'), id, c.req.valid('json'));
    if (endpoint === null) throw noEndpoint(id);
    return c.json(endpoint, 200);
  });
}
