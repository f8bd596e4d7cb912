import { listBatches } from '@batchmill/batch';
import { BatchObject, isId, listOf } from '@batchmill/contract';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { limitParam } from '../http/query.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';

const route = createRoute({
  method: 'get',
  path: '/v1/batches',
  operationId: 'listBatches',
  tags: ['Batches'],
  summary: 'List batches, newest first',
  request: {
    query: z.strictObject({
      after: z
        .string()
        .refine((id) => isId('batch_', id), 'not a batch id')
        .optional()
        .describe('The last id of the page before'),
      limit: limitParam(100, 20),
    }),
  },
  responses: { 200: json('A page of batches', listOf(BatchObject)), ...ANY_ERROR, 400: ERROR[400] },
});

export function listBatchesRoute(api: Api, { batch }: Deps): void {
  api.openapi(route, async (c) => {
    const { after, limit } = c.req.valid('query');
    const page = await listBatches(batch, c.get('tenant'), { limit, ...(after === undefined ? {} : { after }) });
    return c.json(page, 200);
  });
}
