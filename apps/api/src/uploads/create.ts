import { UploadCreate, UploadObject } from '@batchmill/contract';
import { createUpload, secondsOf } from '@batchmill/files';
import { createRoute } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { jsonLimit } from '../http/json-limit.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';

export function createUploadRoute(api: Api, { bucket, batch, limits }: Deps): void {
  const route = createRoute({
    method: 'post',
    path: '/v1/uploads',
    operationId: 'createUpload',
    tags: ['Uploads'],
    summary: 'Begin an upload in parts',
    description: 'The upload must be completed within an hour.',
    middleware: jsonLimit(limits.jsonBytes),
    request: { body: { required: true, content: { 'application/json': { schema: UploadCreate } } } },
    responses: {
      200: json('The upload', UploadObject),
      ...ANY_ERROR,
      400: ERROR[400],
      413: ERROR[413],
      415: ERROR[415],
    },
  });
  api.openapi(route, async (c) => {
    const tenant = c.get('tenant');
    const mostSeconds = secondsOf(batch.retention?.(tenant).files ?? null);
    const upload = await createUpload(bucket, tenant, c.req.valid('json'), { limits: limits.upload, mostSeconds });
    return c.json(upload, 200);
  });
}
