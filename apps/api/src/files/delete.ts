import { openBatchesOf } from '@batchmill/batch';
import { FileDeleted, isId, RequestError } from '@batchmill/contract';
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
  description: 'The input of a batch that has not ended cannot be deleted: cancel the batch, or wait for its end.',
  request: { params: z.object({ file_id: z.string() }) },
  responses: { 200: json('The file is deleted', FileDeleted), ...ANY_ERROR, 404: ERROR[404], 409: ERROR[409] },
});

export function deleteFileRoute(api: Api, { bucket }: Deps): void {
  api.openapi(route, async (c) => {
    const id = c.req.valid('param').file_id;
    const tenant = c.get('tenant');
    const [batch] = isId('file-', id) ? await openBatchesOf(bucket, tenant, id) : [];
    if (batch !== undefined)
      throw new RequestError(
        409,
        `File '${id}' is the input of '${batch}', which has not ended. Cancel that batch, or wait for its end.`,
        { code: 'file_in_use' },
      );
    if (!(await deleteFile(bucket, tenant, id))) throw noFile(id);
    return c.json({ id, object: 'file' as const, deleted: true as const }, 200);
  });
}
