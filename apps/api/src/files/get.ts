import { FileObject } from '@batchmill/contract';
import { getFile } from '@batchmill/files';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';
import { noFile } from './errors.ts';

const route = createRoute({
  method: 'get',
  path: '/v1/files/{file_id}',
  operationId: 'getFile',
  tags: ['Files'],
  summary: 'Describe a file',
  request: { params: z.object({ file_id: z.string() }) },
  responses: { 200: json('The file', FileObject), ...ANY_ERROR, 404: ERROR[404] },
});

export function getFileRoute(api: Api, { bucket }: Deps): void {
  api.openapi(route, async (c) => {
    const id = c.req.valid('param').file_id;
    const file = await getFile(bucket, c.get('tenant'), id);
    if (file === null) throw noFile(id);
    return c.json(file, 200);
  });
}
