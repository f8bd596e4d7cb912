import { UploadComplete, UploadObject } from '@batchmill/contract';
import { completeUpload } from '@batchmill/files';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { jsonLimit } from '../http/json-limit.ts';
import { ANY_ERROR, BODY_ERROR, ERROR, json, jsonBody } from '../openapi.ts';
import { noUpload } from './errors.ts';

export function completeUploadRoute(api: Api, { bucket, limits }: Deps): void {
  const route = createRoute({
    method: 'post',
    path: '/v1/uploads/{upload_id}/complete',
    operationId: 'completeUpload',
    tags: ['Uploads'],
    summary: 'Join the parts into a file',
    description: 'May be repeated: the answer is the same file.',
    middleware: jsonLimit(limits.jsonBytes),
    request: {
      params: z.object({ upload_id: z.string() }),
      body: jsonBody(UploadComplete),
    },
    responses: {
      200: json('The completed upload, with its file', UploadObject),
      ...ANY_ERROR,
      ...BODY_ERROR,
      404: ERROR[404],
    },
  });
  api.openapi(route, async (c) => {
    const id = c.req.valid('param').upload_id;
    const upload = await completeUpload(bucket, c.get('tenant'), id, c.req.valid('json'));
    if (upload === null) throw noUpload(id);
    return c.json(upload, 200);
  });
}
