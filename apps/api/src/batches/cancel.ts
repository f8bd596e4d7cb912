import { cancelBatch } from '@batchmill/batch';
import { BatchObject, isId } from '@batchmill/contract';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';
import { noBatch } from './errors.ts';

const route = createRoute({
  method: 'post',
  path: '/v1/batches/{batch_id}/cancel',
  operationId: 'cancelBatch',
  tags: ['Batches'],
  summary: 'Cancel a batch',
  description: 'What is finished by then is delivered; each other line goes to the error file as `batch_cancelled`.',
  request: { params: z.object({ batch_id: z.string() }) },
  responses: {
    200: json('The batch, `cancelling`', BatchObject),
    ...ANY_ERROR,
    404: ERROR[404],
    409: ERROR[409],
  },
});

export function cancelBatchRoute(api: Api, { batch }: Deps): void {
  api.openapi(route, async (c) => {
    const id = c.req.valid('param').batch_id;
    const cancelled = isId('batch_', id) ? await cancelBatch(batch, c.get('tenant'), id) : null;
    if (cancelled === null) throw noBatch(id);
    return c.json(cancelled, 200);
  });
}
