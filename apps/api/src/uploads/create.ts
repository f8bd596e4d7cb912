import { UploadCreate, UploadObject } from '@batchmill/contract';
import { createUpload, secondsOf } from '@batchmill/files';
import { createRoute } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { jsonLimit } from '../http/json-limit.ts';
import { ANY_ERROR, BODY_ERROR, json, jsonBody } from '../openapi.ts';

export function createUploadRoute(api: Api, { bucket, batch, limits }: Deps): void {
  const route = createRoute({
    method: 'post',
    path: '/v1/uploads',
    operationId: 'createUpload',
    tags: ['Uploads'],
    summary: 'Begin an upload in parts',
    description: 'The upload must be completed within an hour.',
    middleware: jsonLimit(limits.jsonBytes),
    request: { body: jsonBody(UploadCreate) },
    responses: {
      200: json('The upload', UploadObject),
      ...ANY_ERROR,
      ...BODY_ERROR,
    },
  });
  api.openapi(route, async (c) => {
    const tenant = c.get('tenant');
    const mostSeconds = secondsOf(batch.retention?.(tenant).files ?? null);
    const upload = await createUpload(bucket, tenant, c.req.valid('json'), { limits: limits.upload, mostSeconds });
    return c.json(upload, 200);
  });
}
