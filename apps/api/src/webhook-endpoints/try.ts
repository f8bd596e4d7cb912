import { WebhookAttempt } from '@batchmill/contract';
import { sendTest } from '@batchmill/webhooks';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';
import { noEndpoint } from './errors.ts';

const route = createRoute({
  method: 'post',
  path: '/v1/webhook_endpoints/{endpoint_id}/test',
  operationId: 'testWebhookEndpoint',
  tags: ['Webhooks'],
  summary: 'Post a `webhook.test` event now',
  description: 'Answers with what the receiver said. It is not tried again, and not among the deliveries.',
  request: { params: z.object({ endpoint_id: z.string() }) },
  responses: { 200: json('What came of it', WebhookAttempt), ...ANY_ERROR, 404: ERROR[404] },
});

export function testWebhookEndpointRoute(api: Api, { bucket, webhooks }: Deps): void {
  api.openapi(route, async (c) => {
    const id = c.req.valid('param').endpoint_id;
    const attempt = await sendTest(bucket, webhooks.sender, c.get('tenant'), id);
    if (attempt === null) throw noEndpoint(id);
    return c.json(attempt, 200);
  });
}
