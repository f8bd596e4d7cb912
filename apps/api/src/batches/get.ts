import { getBatch } from '@batchmill/batch';
import { BatchObject, isId } from '@batchmill/contract';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';
import { noBatch } from './errors.ts';

const route = createRoute({
  method: 'get',
  path: '/v1/batches/{batch_id}',
  operationId: 'getBatch',
  tags: ['Batches'],
  summary: 'Describe a batch and its progress',
  request: { params: z.object({ batch_id: z.string() }) },
  responses: { 200: json('The batch', BatchObject), ...ANY_ERROR, 404: ERROR[404] },
});

export function getBatchRoute(api: Api, { batch }: Deps): void {
  api.openapi(route, async (c) => {
    const id = c.req.valid('param').batch_id;
    const found = isId('batch_', id) ? await getBatch(batch, c.get('tenant'), id) : null;
    if (found === null) throw noBatch(id);
    return c.json(found, 200);
  });
}
