import { UploadPartUrls, UploadPartUrlsCreate } from '@batchmill/contract';
import { partUrls } from '@batchmill/files';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { jsonLimit } from '../http/json-limit.ts';
import { ANY_ERROR, BODY_ERROR, ERROR, json, jsonBody } from '../openapi.ts';
import { noUpload } from './errors.ts';

export function createPartUrlsRoute(api: Api, { bucket, limits }: Deps): void {
  const route = createRoute({
    method: 'post',
    path: '/v1/uploads/{upload_id}/part_urls',
    operationId: 'createUploadPartUrls',
    tags: ['Uploads'],
    summary: 'Get URLs to send parts straight to the bucket',
    description:
      'An extension, for large files where the API has a limit on bodies. PUT each part to its URL, with exactly as many bytes as ' +
      'said and without an API key, then complete the upload with the ids of the parts. Needs a bucket on S3.',
    middleware: jsonLimit(limits.jsonBytes),
    request: {
      params: z.object({ upload_id: z.string() }),
      body: jsonBody(UploadPartUrlsCreate),
    },
    responses: {
      200: json('A URL for each part', UploadPartUrls),
      ...ANY_ERROR,
      ...BODY_ERROR,
      404: ERROR[404],
    },
  });
  api.openapi(route, async (c) => {
    const id = c.req.valid('param').upload_id;
    const data = await partUrls(bucket, c.get('tenant'), id, c.req.valid('json').bytes, limits.upload);
    if (data === null) throw noUpload(id);
    return c.json({ object: 'list' as const, data }, 200);
  });
}
