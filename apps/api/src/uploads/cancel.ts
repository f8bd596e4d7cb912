import { UploadObject } from '@batchmill/contract';
import { cancelUpload } from '@batchmill/files';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';
import { noUpload } from './errors.ts';

const route = createRoute({
  method: 'post',
  path: '/v1/uploads/{upload_id}/cancel',
  operationId: 'cancelUpload',
  tags: ['Uploads'],
  summary: 'Give an upload up',
  request: { params: z.object({ upload_id: z.string() }) },
  responses: { 200: json('The cancelled upload', UploadObject), ...ANY_ERROR, 400: ERROR[400], 404: ERROR[404] },
});

export function cancelUploadRoute(api: Api, { bucket }: Deps): void {
  api.openapi(route, async (c) => {
    const id = c.req.valid('param').upload_id;
    const upload = await cancelUpload(bucket, c.get('tenant'), id);
    if (upload === null) throw noUpload(id);
    return c.json(upload, 200);
  });
}
