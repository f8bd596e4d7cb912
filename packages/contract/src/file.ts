import { z } from 'zod';

export const FilePurpose = z.enum(['batch', 'batch_output', 'user_data', 'vision', 'assistants', 'fine-tune', 'evals']);
export type FilePurpose = z.infer<typeof FilePurpose>;

/** `expires_after` of files and uploads: 1 hour to 30 days after creation. */
export const ExpiresAfter = z.strictObject({
  anchor: z.literal('created_at'),
  seconds: z.coerce.number().int().min(3600).max(2_592_000),
});
export type ExpiresAfter = z.infer<typeof ExpiresAfter>;

export const FileObject = z.object({
  id: z.string(),
  object: z.literal('file'),
  bytes: z.number().int(),
  created_at: z.number().int(),
  filename: z.string(),
  purpose: FilePurpose,
  status: z.enum(['uploaded', 'processed', 'error']),
  expires_at: z.number().int().optional(),
});
export type FileObject = z.infer<typeof FileObject>;

export const FileDeleted = z.object({ id: z.string(), object: z.literal('file'), deleted: z.literal(true) });

export const UploadObject = z.object({
  id: z.string(),
  object: z.literal('upload'),
  bytes: z.number().int(),
  created_at: z.number().int(),
  filename: z.string(),
  purpose: FilePurpose,
  status: z.enum(['pending', 'completed', 'cancelled', 'expired']),
  expires_at: z.number().int(),
  file: FileObject.nullable().optional(),
});
export type UploadObject = z.infer<typeof UploadObject>;

export const UploadCreate = z.strictObject({
  bytes: z.number().int().min(1),
  filename: z.string().min(1).max(1024),
  mime_type: z.string().min(1).max(255),
  purpose: FilePurpose.exclude(['batch_output']),
  expires_after: ExpiresAfter.optional(),
});
export type UploadCreate = z.infer<typeof UploadCreate>;

export const UploadComplete = z.strictObject({
  part_ids: z.array(z.string()).min(1).max(100_000),
  md5: z
    .string()
    .regex(/^[0-9a-fA-F]{32}$/, 'must be 32 hexadecimal digits')
    .optional(),
});

export const UploadPart = z.object({
  id: z.string(),
  object: z.literal('upload.part'),
  created_at: z.number().int(),
  upload_id: z.string(),
});
export type UploadPart = z.infer<typeof UploadPart>;
