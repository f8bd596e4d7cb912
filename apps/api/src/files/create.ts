import { FileObject } from '@batchmill/contract';
import { secondsOf, stageFile } from '@batchmill/files';
import { createRoute } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { formOf, readForm } from '../http/multipart.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';
import { checkField, type FileFields, missingFile, parseFields, parseFilename } from './form.ts';

const route = createRoute({
  method: 'post',
  path: '/v1/files',
  operationId: 'createFile',
  tags: ['Files'],
  summary: 'Upload a file',
  description:
    'The fields may come before or after the file. Files of purpose `batch` expire after 30 days unless told otherwise. ' +
    'For files over 512 MB see Uploads.',
  request: {
    body: {
      required: true,
      content: {
        'multipart/form-data': {
          schema: {
            type: 'object',
            required: ['file', 'purpose'],
            properties: {
              file: { type: 'string', format: 'binary' },
              purpose: { type: 'string', enum: ['batch', 'user_data', 'vision', 'assistants', 'fine-tune', 'evals'] },
              'expires_after[anchor]': { type: 'string', enum: ['created_at'] },
              'expires_after[seconds]': { type: 'integer', minimum: 3600, maximum: 2_592_000 },
            },
          },
        },
      },
    },
  },
  responses: { 200: json('The file', FileObject), ...ANY_ERROR, 400: ERROR[400], 413: ERROR[413], 415: ERROR[415] },
});

export function createFileRoute(api: Api, { bucket, batch, limits }: Deps): void {
  api.openapi(route, async (c) => {
    const tenant = c.get('tenant');
    const {
      files: [file],
      fields,
    } = await readForm(formOf(c), {
      file: 'file',
      maxBytes: limits.fileBytes,
      field: checkField,
      receive: async (source, filename) => {
        parseFilename(filename);
        return await stageFile(bucket, tenant, source);
      },
      discard: (staged) => staged.discard(),
    });
    if (file === undefined) throw missingFile('file');
    let parsed: FileFields;
    try {
      parsed = parseFields(fields);
    } catch (error) {
      await file.received.discard();
      throw error;
    }
    const published = await file.received.publish({
      filename: file.filename,
      purpose: parsed.purpose,
      mostSeconds: secondsOf(batch.retention?.(tenant).files ?? null),
      ...(parsed.expires_after === undefined ? {} : { secondsToLive: parsed.expires_after.seconds }),
    });
    return c.json(published, 200);
  });
}
