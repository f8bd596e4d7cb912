import { FileDeleted } from '@batchmill/contract';
import { deleteFile } from '@batchmill/files';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';
import { noFile } from './errors.ts';

const route = createRoute({
  method: 'delete',
  path: '/v1/files/{file_id}',
  operationId: 'deleteFile',
  tags: ['Files'],
  summary: 'Delete a file',
  request: { params: z.object({ file_id: z.string() }) },
  responses: { 200: json('The file is deleted', FileDeleted), ...ANY_ERROR, 404: ERROR[404] },
});

export function deleteFileRoute(api: Api, { bucket }: Deps): void {
  api.openapi(route, async (c) => {
    const id = c.req.valid('param').file_id;
    if (!(await deleteFile(bucket, c.get('tenant'), id))) throw noFile(id);
    return c.json({ id, object: 'file' as const, deleted: true as const }, 200);
  });
}
