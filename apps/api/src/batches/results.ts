import { getBatch, streamResults } from '@batchmill/batch';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { toStream } from '../http/stream.ts';
import { ANY_ERROR, ERROR } from '../openapi.ts';
import { noBatch } from './errors.ts';

/** A `string`, since its literal would be taken for one of JSON's. */
const JSONL: string = 'application/jsonl';

const route = createRoute({
  method: 'get',
  path: '/v1/batches/{batch_id}/results',
  operationId: 'streamBatchResults',
  tags: ['Batches'],
  summary: 'What is finished of a batch so far',
  description:
    'One line for each item that has a result, answers and errors alike, as they will be in the output and the error file. ' +
    'While the batch runs they come shard by shard; once it has ended, all of them in the order of the input.',
  request: { params: z.object({ batch_id: z.string() }) },
  responses: {
    200: {
      description: 'The lines',
      headers: {
        'x-batch-status': {
          description: 'Status of the batch when the answer began',
          schema: { type: 'string' as const },
        },
      },
      content: { [JSONL]: { schema: { type: 'string' as const } } },
    },
    ...ANY_ERROR,
    404: ERROR[404],
  },
});

export function batchResultsRoute(api: Api, { batch, bucket, logger }: Deps): void {
  api.openapi(route, async (c) => {
    const tenant = c.get('tenant');
    const id = c.req.valid('param').batch_id;
    const found = await getBatch(batch, tenant, id);
    if (found === null) throw noBatch(id);
    const headers = { 'content-type': JSONL, 'x-batch-status': found.status };
    if (c.req.method === 'HEAD') return c.body(null, 200, headers);
    const body = toStream(streamResults(bucket, tenant, id), (err) =>
      logger.error({ err, batch: id }, 'a stream of results broke off'),
    );
    return c.body(body, 200, headers);
  });
}
