import { FileObject, FilePurpose, listOf } from '@batchmill/contract';
import { listFiles } from '@batchmill/files';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { limitParam } from '../http/query.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';

const route = createRoute({
  method: 'get',
  path: '/v1/files',
  operationId: 'listFiles',
  tags: ['Files'],
  summary: 'List files',
  request: {
    query: z.strictObject({
      after: z.string().optional().describe('The last id of the page before'),
      limit: limitParam(10_000, 10_000),
      order: z.enum(['asc', 'desc']).default('desc').describe('By time of creation'),
      purpose: FilePurpose.optional(),
    }),
  },
  responses: { 200: json('A page of files', listOf(FileObject)), ...ANY_ERROR, 400: ERROR[400] },
});

export function listFilesRoute(api: Api, { bucket }: Deps): void {
  api.openapi(route, async (c) => {
    const { after, limit, order, purpose } = c.req.valid('query');
    const page = await listFiles(bucket, c.get('tenant'), {
      limit,
      order,
      ...(after === undefined ? {} : { after }),
      ...(purpose === undefined ? {} : { purpose }),
    });
    return c.json(page, 200);
  });
}
