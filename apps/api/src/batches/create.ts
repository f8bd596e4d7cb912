import { createBatch } from '@batchmill/batch';
import { BatchCreate, BatchObject } from '@batchmill/contract';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { jsonLimit } from '../http/json-limit.ts';
import { ANY_ERROR, BODY_ERROR, json, jsonBody } from '../openapi.ts';
import { acceptBatch } from './accept.ts';

const Headers = z.object({
  'x-content-policy': z.string().max(63).optional().describe('Name of a content policy of this installation.'),
});

export function createBatchRoute(api: Api, deps: Deps): void {
  const route = createRoute({
    method: 'post',
    path: '/v1/batches',
    operationId: 'createBatch',
    tags: ['Batches'],
    summary: 'Create a batch from an uploaded file',
    description:
      'The file is checked after this call has returned: a wrong line shows as status `failed`, with its number. A content ' +
      "policy can be chosen by `x-content-policy` or `metadata.content_policy`; it is applied beside the account's own.",
    middleware: jsonLimit(deps.limits.jsonBytes),
    request: { headers: Headers, body: jsonBody(BatchCreate) },
    responses: {
      200: json('The batch', BatchObject),
      ...ANY_ERROR,
      ...BODY_ERROR,
    },
  });
  api.openapi(route, async (c) => {
    const request = c.req.valid('json');
    const wishes = {
      policies: [c.req.valid('header')['x-content-policy'], request.metadata?.content_policy],
      webhook: request.webhook,
    };
    const made = await acceptBatch(deps, c, wishes, (options) =>
      createBatch(deps.batch, c.get('tenant'), request, options),
    );
    c.set('about', { batch: made.id });
    return c.json(made, 200);
  });
}
