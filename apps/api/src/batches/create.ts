import { createBatch } from '@batchmill/batch';
import { BatchCreate, BatchObject } from '@batchmill/contract';
import { storePolicy } from '@batchmill/safety';
import { createBatchEndpoint } from '@batchmill/webhooks';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { jsonLimit } from '../http/json-limit.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';

const Headers = z.object({
  'x-content-policy': z.string().max(63).optional().describe('Name of a content policy of this installation.'),
});

export function createBatchRoute(api: Api, { batch, bucket, limits, policies, webhooks }: Deps): void {
  const route = createRoute({
    method: 'post',
    path: '/v1/batches',
    operationId: 'createBatch',
    tags: ['Batches'],
    summary: 'Create a batch from an uploaded file',
    description:
      'The file is checked after this call has returned: a wrong line shows as status `failed`, with its number. A content ' +
      "policy can be chosen by `x-content-policy` or `metadata.content_policy`; it is applied beside the account's own.",
    middleware: jsonLimit(limits.jsonBytes),
    request: { headers: Headers, body: { required: true, content: { 'application/json': { schema: BatchCreate } } } },
    responses: { 200: json('The batch', BatchObject), ...ANY_ERROR, 400: ERROR[400], 413: ERROR[413], 415: ERROR[415] },
  });
  api.openapi(route, async (c) => {
    const request = c.req.valid('json');
    const chosen = [c.get('policy'), c.req.valid('header')['x-content-policy'], request.metadata?.content_policy];
    const policy = policies.resolve(
      c.get('tenant'),
      chosen.filter((name) => name != null),
    );
    // Before the batch that names it.
    const hash = await storePolicy(bucket, policy);
    const tenant = c.get('tenant');
    const endpoint =
      request.webhook === undefined ? null : await createBatchEndpoint(bucket, webhooks.guard, tenant, request.webhook);
    const webhook = endpoint === null ? null : { endpoint_id: endpoint.id, url: endpoint.url };
    const made = await createBatch(batch, tenant, request, { policy: hash, webhook, key: c.get('key') });
    c.set('about', { batch: made.id });
    // The one time that a secret that was made up is shown.
    const secret = endpoint?.secret === undefined ? {} : { secret: endpoint.secret };
    return c.json(made.webhook === undefined ? made : { ...made, webhook: { ...made.webhook, ...secret } }, 200);
  });
}
