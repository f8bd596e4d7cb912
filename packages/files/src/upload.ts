import { type Bucket, layout } from '@batchmill/bucket';
import { type FileObject, FilePurpose, isId, newId, RequestError, type UploadObject } from '@batchmill/contract';
import { z } from 'zod';

/** Seconds an upload may take from creation to completion. */
export const UPLOAD_SECONDS = 3_600;

const MB = 2 ** 20;

export interface UploadLimits {
  /** Size of a whole upload in bytes. */
  maxBytes: number;
  /** Size of one part in bytes. */
  maxPartBytes: number;
  maxParts: number;
}

/** 8 GB in all, 64 MB a part, as OpenAI has it; 10,000 parts, as S3 has it. */
export const UPLOAD_LIMITS: UploadLimits = { maxBytes: 8 * 1024 * MB, maxPartBytes: 64 * MB, maxParts: 10_000 };

/** upload.json: what was asked for. */
export const UploadRecord = z.object({
  id: z.string(),
  bytes: z.number(),
  created_at: z.number(),
  expires_at: z.number(),
  filename: z.string(),
  purpose: FilePurpose,
  /** Seconds from the creation of the file; `null`: the default of its purpose. */
  file_seconds: z.number().nullable(),
});
export type UploadRecord = z.infer<typeof UploadRecord>;

/** ended.json: how it went. Created once, by whoever was first. */
export const UploadEnd = z.discriminatedUnion('status', [
  z.object({ status: z.literal('completed'), file_id: z.string(), part_ids: z.array(z.string()) }),
  z.object({ status: z.literal('cancelled') }),
]);
export type UploadEnd = z.infer<typeof UploadEnd>;

/** An upload as the bucket has it. */
export interface UploadState {
  record: UploadRecord;
  end: UploadEnd | null;
}

/** Reads an upload, or `null` if there is none. Any string is a safe `id`. */
export async function readUpload(bucket: Bucket, tenant: string, id: string): Promise<UploadState | null> {
  if (!isId('upload_', id)) return null;
  const bytes = await bucket.get(layout.upload.upload(tenant, id));
  if (bytes === null) return null;
  return { record: UploadRecord.parse(json(bytes)), end: await readEnd(bucket, tenant, id) };
}

export async function readEnd(bucket: Bucket, tenant: string, id: string): Promise<UploadEnd | null> {
  const bytes = await bucket.get(layout.upload.ended(tenant, id));
  return bytes === null ? null : UploadEnd.parse(json(bytes));
}

/** The upload as the wire has it. */
export function toUpload({ record, end }: UploadState, file?: FileObject | null): UploadObject {
  const expired = record.expires_at * 1000 <= Date.now();
  return {
    id: record.id,
    object: 'upload',
    bytes: record.bytes,
    created_at: record.created_at,
    filename: record.filename,
    purpose: record.purpose,
    status: end?.status ?? (expired ? 'expired' : 'pending'),
    expires_at: record.expires_at,
    ...(file === undefined ? {} : { file }),
  };
}

/** @throws RequestError 400 unless parts may still be added */
export function assertPending(upload: UploadState): void {
  const { id, status } = toUpload(upload);
  if (status !== 'pending') throw uploadOver(id, status);
}

/** What a call that comes too late is answered with. */
export function uploadOver(id: string, status: 'completed' | 'cancelled' | 'expired'): RequestError {
  const why = {
    completed: `Upload '${id}' is completed.`,
    cancelled: `Upload '${id}' was cancelled.`,
    expired: `Upload '${id}' has expired: an upload must be completed within an hour. Create a new one.`,
  }[status];
  return new RequestError(400, why, { code: `upload_${status}` });
}

/** The record of a new upload. */
export function newRecord(input: {
  bytes: number;
  filename: string;
  purpose: FilePurpose;
  fileSeconds: number | null;
}): UploadRecord {
  const now = Date.now();
  const created = Math.floor(now / 1000);
  return {
    id: newId('upload_', now),
    bytes: input.bytes,
    created_at: created,
    expires_at: created + UPLOAD_SECONDS,
    filename: input.filename,
    purpose: input.purpose,
    file_seconds: input.fileSeconds,
  };
}

function json(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes).toString('utf8'));
}
