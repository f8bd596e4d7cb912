import { RequestError } from '@batchmill/contract';
import { contentUrl, getFile, readContent } from '@batchmill/files';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { attachment } from '../http/disposition.ts';
import { parseRange } from '../http/range.ts';
import { toStream } from '../http/stream.ts';
import { ANY_ERROR, ERROR } from '../openapi.ts';
import { noFile } from './errors.ts';

const bytes = (description: string) => ({
  description,
  content: { 'application/octet-stream': { schema: { type: 'string' as const, format: 'binary' } } },
});

const route = createRoute({
  method: 'get',
  path: '/v1/files/{file_id}/content',
  operationId: 'downloadFile',
  tags: ['Files'],
  summary: 'Download the content of a file',
  description: 'An interrupted download can be resumed with `Range`, guarded by `If-Range` with the `ETag`.',
  request: {
    params: z.object({ file_id: z.string() }),
    headers: z.object({
      range: z.string().optional().openapi({ example: 'bytes=0-1023' }),
      'if-range': z.string().optional(),
    }),
  },
  responses: {
    200: bytes('The content'),
    206: bytes('The range asked for'),
    302: { description: 'Where it can be downloaded: large files, where the API runs on Lambda' },
    ...ANY_ERROR,
    404: ERROR[404],
    416: ERROR[416],
  },
});

/** Time to begin a download at the bucket. */
const REDIRECT_SECONDS = 900;

export function fileContentRoute(api: Api, { bucket, logger, limits }: Deps): void {
  api.openapi(route, async (c) => {
    const tenant = c.get('tenant');
    const id = c.req.valid('param').file_id;
    const file = await getFile(bucket, tenant, id);
    if (file === null) throw noFile(id);
    if (file.bytes > limits.proxiedBytes && c.req.method !== 'HEAD') {
      const url = await contentUrl(bucket, tenant, file, REDIRECT_SECONDS);
      // The signature is a secret of this client's for as long as it lasts.
      if (url !== null) return c.body(null, 302, { location: url, 'cache-control': 'no-store' });
    }
    // A file's content never changes, so its id is a strong validator.
    const etag = `"${file.id}"`;
    const { range: asked, 'if-range': condition } = c.req.valid('header');
    const honoured = asked !== undefined && (condition === undefined || condition === etag);
    const range = honoured ? parseRange(asked, file.bytes) : null;
    if (range === 'unsatisfiable') {
      c.header('content-range', `bytes */${file.bytes}`);
      throw new RequestError(416, `The range '${asked}' is outside the file, which has ${file.bytes} bytes.`, {
        code: 'range_not_satisfiable',
        type: 'invalid_request_error',
      });
    }
    const headers = {
      'content-type': 'application/octet-stream',
      'content-length': String(range === null ? file.bytes : range.end - range.start + 1),
      'content-disposition': attachment(file.filename),
      'accept-ranges': 'bytes',
      etag,
      ...(range === null ? {} : { 'content-range': `bytes ${range.start}-${range.end}/${file.bytes}` }),
    };
    const status = range === null ? 200 : 206;
    if (c.req.method === 'HEAD') return c.body(null, status, headers);
    const content = await readContent(bucket, tenant, file, range ?? undefined);
    if (content === null) throw noFile(id);
    const body = toStream(content, (err) => logger.error({ err, file: id }, 'a download broke off'));
    return c.body(body, status, headers);
  });
}
