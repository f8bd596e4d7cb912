import { createBatch } from '@batchmill/batch';
import { BatchCreate, BatchObject } from '@batchmill/contract';
import { createRoute } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { jsonLimit } from '../http/json-limit.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';

export function createBatchRoute(api: Api, { batch, limits }: Deps): void {
  const route = createRoute({
    method: 'post',
    path: '/v1/batches',
    operationId: 'createBatch',
    tags: ['Batches'],
    summary: 'Create a batch from an uploaded file',
    description:
      'The file is checked after this call has returned: a wrong line shows as status `failed`, with its number.',
    middleware: jsonLimit(limits.jsonBytes),
    request: { body: { required: true, content: { 'application/json': { schema: BatchCreate } } } },
    responses: { 200: json('The batch', BatchObject), ...ANY_ERROR, 400: ERROR[400], 413: ERROR[413], 415: ERROR[415] },
  });
  api.openapi(route, async (c) => c.json(await createBatch(batch, c.get('tenant'), c.req.valid('json')), 200));
}
