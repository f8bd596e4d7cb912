import { getRetryable, retryBatch } from '@batchmill/batch';
import { BatchObject, BatchRetry } from '@batchmill/contract';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { jsonLimit } from '../http/json-limit.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';
import { acceptBatch } from './accept.ts';
import { noBatch } from './errors.ts';

export function retryBatchRoute(api: Api, deps: Deps): void {
  const route = createRoute({
    method: 'post',
    path: '/v1/batches/{batch_id}/retry',
    operationId: 'retryBatch',
    tags: ['Batches'],
    summary: 'Make a batch of the lines that failed, expired or were cancelled',
    description:
      'The new batch has the same input file, of which it does those lines alone, and `retry_of` names the one before. Asked ' +
      'again for the same kinds of lines, the answer is the batch that was made. What the body leaves out is as it was.',
    middleware: jsonLimit(deps.limits.jsonBytes),
    request: {
      params: z.object({ batch_id: z.string() }),
      body: { required: false, content: { 'application/json': { schema: BatchRetry } } },
    },
    responses: {
      200: json('The new batch', BatchObject),
      ...ANY_ERROR,
      400: ERROR[400],
      404: ERROR[404],
      409: ERROR[409],
      413: ERROR[413],
      415: ERROR[415],
    },
  });
  api.openapi(route, async (c) => {
    const id = c.req.valid('param').batch_id;
    // Without a body nothing was checked, and the defaults are not in it.
    const request = BatchRetry.parse(c.req.valid('json'));
    const before = await getRetryable(deps.batch, c.get('tenant'), id);
    if (before === null) throw noBatch(id);
    const wishes = {
      policies: [...before.fact.policies, request.metadata?.content_policy],
      webhook: request.webhook,
    };
    const made = await acceptBatch(deps, c, wishes, (options) => retryBatch(deps.batch, before, request, options));
    return c.json(made, 200);
  });
}
