import { deleteBatch } from '@batchmill/batch';
import { BatchDeleted } from '@batchmill/contract';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';
import { noBatch } from './errors.ts';

const route = createRoute({
  method: 'delete',
  path: '/v1/batches/{batch_id}',
  operationId: 'deleteBatch',
  tags: ['Batches'],
  summary: 'Delete a batch that has ended, with its results',
  description: 'Its output and its error file go with it. Its input file stays: delete that by itself.',
  request: { params: z.object({ batch_id: z.string() }) },
  responses: { 200: json('The batch is deleted', BatchDeleted), ...ANY_ERROR, 404: ERROR[404], 409: ERROR[409] },
});

export function deleteBatchRoute(api: Api, { bucket }: Deps): void {
  api.openapi(route, async (c) => {
    const id = c.req.valid('param').batch_id;
    if (!(await deleteBatch(bucket, c.get('tenant'), id))) throw noBatch(id);
    return c.json({ id, object: 'batch' as const, deleted: true as const }, 200);
  });
}
