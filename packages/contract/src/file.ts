import { z } from 'zod';

export const FilePurpose = z.enum(['batch', 'batch_output', 'user_data', 'vision', 'assistants', 'fine-tune', 'evals']);
export type FilePurpose = z.infer<typeof FilePurpose>;

/** Purposes a client may give a file; `batch_output` is for results alone. */
export const UploadPurpose = FilePurpose.exclude(['batch_output']);

/** A file's name as the client gave it: shown again, and sent in `Content-Disposition`; never part of a path or key. */
export const Filename = z
  .string()
  .min(1)
  .max(1024)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be in a name
  .regex(/^[^\u0000-\u001f\u007f]*$/, 'must not contain control characters');

/** `expires_after` of files and uploads: 1 hour to 30 days after creation. */
export const ExpiresAfter = z.strictObject({
  anchor: z.literal('created_at'),
  seconds: z.coerce.number().int().min(3600).max(2_592_000),
});
export type ExpiresAfter = z.infer<typeof ExpiresAfter>;

export const FileObject = z
  .object({
    id: z.string(),
    object: z.literal('file'),
    bytes: z.number().int(),
    created_at: z.number().int(),
    filename: z.string(),
    purpose: FilePurpose,
    status: z.enum(['uploaded', 'processed', 'error']),
    expires_at: z.number().int().optional(),
  })
  .meta({ id: 'File' });
export type FileObject = z.infer<typeof FileObject>;

export const FileDeleted = z
  .object({ id: z.string(), object: z.literal('file'), deleted: z.literal(true) })
  .meta({ id: 'FileDeleted' });

export const UploadObject = z
  .object({
    id: z.string(),
    object: z.literal('upload'),
    bytes: z.number().int(),
    created_at: z.number().int(),
    filename: z.string(),
    purpose: FilePurpose,
    status: z.enum(['pending', 'completed', 'cancelled', 'expired']),
    expires_at: z.number().int(),
    file: FileObject.nullable().optional(),
  })
  .meta({ id: 'Upload' });
export type UploadObject = z.infer<typeof UploadObject>;

export const UploadCreate = z
  .strictObject({
    bytes: z.number().int().min(1),
    filename: Filename,
    mime_type: z.string().min(1).max(255),
    purpose: UploadPurpose,
    expires_after: ExpiresAfter.optional(),
  })
  .meta({ id: 'UploadCreate' });
export type UploadCreate = z.infer<typeof UploadCreate>;

export const UploadComplete = z
  .strictObject({
    part_ids: z.array(z.string()).min(1).max(100_000),
    md5: z
      .string()
      .regex(/^[0-9a-fA-F]{32}$/, 'must be 32 hexadecimal digits')
      .optional(),
  })
  .meta({ id: 'UploadComplete' });
export type UploadComplete = z.infer<typeof UploadComplete>;

export const UploadPart = z
  .object({
    id: z.string(),
    object: z.literal('upload.part'),
    created_at: z.number().int(),
    upload_id: z.string(),
  })
  .meta({ id: 'UploadPart' });
export type UploadPart = z.infer<typeof UploadPart>;

export const UploadPartUrlsCreate = z
  .strictObject({
    bytes: z
      .array(z.number().int().min(1))
      .min(1)
      .max(1_000)
      .describe('Size of each part in bytes, in the order the URLs will have'),
  })
  .meta({ id: 'UploadPartUrlsCreate' });
export type UploadPartUrlsCreate = z.infer<typeof UploadPartUrlsCreate>;

export const UploadPartUrl = z
  .object({
    id: z.string().describe('The part, for `part_ids` when the upload is completed'),
    object: z.literal('upload.part_url'),
    upload_id: z.string(),
    bytes: z.number().int(),
    method: z.literal('PUT'),
    url: z.string(),
    expires_at: z.number().int(),
  })
  .meta({ id: 'UploadPartUrl' });
export type UploadPartUrl = z.infer<typeof UploadPartUrl>;

export const UploadPartUrls = z
  .object({ object: z.literal('list'), data: z.array(UploadPartUrl) })
  .meta({ id: 'UploadPartUrls' });
export type UploadPartUrls = z.infer<typeof UploadPartUrls>;
