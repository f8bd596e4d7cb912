import { WebhookEndpointObject, WebhookSecretRotate } from '@batchmill/contract';
import { rotateSecret } from '@batchmill/webhooks';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { jsonLimit } from '../http/json-limit.ts';
import { ANY_ERROR, BODY_ERROR, ERROR, json, jsonBody } from '../openapi.ts';
import { noEndpoint } from './errors.ts';

export function rotateWebhookSecretRoute(api: Api, { bucket, limits }: Deps): void {
  const route = createRoute({
    method: 'post',
    path: '/v1/webhook_endpoints/{endpoint_id}/rotate_secret',
    operationId: 'rotateWebhookSecret',
    tags: ['Webhooks'],
    summary: 'Give an endpoint a new secret',
    description: 'Shown in this answer only. For `overlap_seconds` deliveries are signed with both.',
    middleware: jsonLimit(limits.jsonBytes),
    request: {
      params: z.object({ endpoint_id: z.string() }),
      body: jsonBody(WebhookSecretRotate),
    },
    responses: {
      200: json('The endpoint, with its secret', WebhookEndpointObject),
      ...ANY_ERROR,
      ...BODY_ERROR,
      404: ERROR[404],
    },
  });
  api.openapi(route, async (c) => {
    const id = c.req.valid('param').endpoint_id;
    const endpoint = await rotateSecret(bucket, c.get('tenant'), id, c.req.valid('json').overlap_seconds);
    if (endpoint === null) throw noEndpoint(id);
    return c.json(endpoint, 200);
  });
}
