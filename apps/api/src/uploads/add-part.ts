import { UploadPart } from '@batchmill/contract';
import { addPart } from '@batchmill/files';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { missingFile } from '../files/form.ts';
import { formOf, readForm } from '../http/multipart.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';
import { noUpload } from './errors.ts';

const route = createRoute({
  method: 'post',
  path: '/v1/uploads/{upload_id}/parts',
  operationId: 'addUploadPart',
  tags: ['Uploads'],
  summary: 'Add a part of up to 64 MB',
  description: 'Parts may be sent in parallel and in any order: completing the upload names their order.',
  request: {
    params: z.object({ upload_id: z.string() }),
    body: {
      required: true,
      content: {
        'multipart/form-data': {
          schema: {
            type: 'object',
            required: ['data'],
            properties: { data: { type: 'string', format: 'binary' } },
          },
        },
      },
    },
  },
  responses: {
    200: json('The part', UploadPart),
    ...ANY_ERROR,
    400: ERROR[400],
    404: ERROR[404],
    413: ERROR[413],
    415: ERROR[415],
  },
});

export function addPartRoute(api: Api, { bucket, limits }: Deps): void {
  api.openapi(route, async (c) => {
    const id = c.req.valid('param').upload_id;
    const {
      files: [file],
    } = await readForm(formOf(c), {
      file: 'data',
      maxBytes: limits.upload.maxPartBytes,
      receive: async (source) => {
        const part = await addPart(bucket, c.get('tenant'), id, source, { limits: limits.upload });
        if (part === null) throw noUpload(id);
        return part;
      },
      // A part that nobody was told of is not in the order that completes the upload, and goes with it.
      discard: async () => {},
    });
    if (file === undefined) throw missingFile('data');
    return c.json(file.received, 200);
  });
}
