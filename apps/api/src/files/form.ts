import { ExpiresAfter, Filename, invalid, RequestError, UploadPurpose } from '@batchmill/contract';
import { z } from 'zod';

/** The fields of the form of `POST /v1/files`, beside the file. */
const FileFields = z.strictObject({ purpose: UploadPurpose, expires_after: ExpiresAfter.optional() });
export type FileFields = z.infer<typeof FileFields>;

/** Refuses a wrong purpose when it comes before the file, so that nobody uploads 500 MB to hear of it. */
export function checkField(name: string, value: string): void {
  if (name !== 'purpose') return;
  const parsed = FileFields.pick({ purpose: true }).safeParse({ purpose: value });
  if (!parsed.success) throw invalid(parsed.error);
}

/**
 * Reads the fields as the SDKs send them: `purpose`, `expires_after[anchor]`, `expires_after[seconds]`.
 *
 * @throws RequestError 400 that names the field
 */
export function parseFields(fields: ReadonlyMap<string, string>): FileFields {
  const nested = new Map<string, unknown>();
  const expiry = new Map<string, string>();
  for (const [name, value] of fields) {
    const member = /^expires_after\[(.*)\]$/.exec(name)?.[1];
    if (member === undefined) nested.set(name, value);
    else expiry.set(member, value);
  }
  if (expiry.size > 0) nested.set('expires_after', Object.fromEntries(expiry));
  const input = Object.fromEntries(nested);
  const parsed = FileFields.safeParse(input);
  if (!parsed.success) throw invalid(parsed.error, input);
  return parsed.data;
}

/** @throws RequestError 400 for a name that cannot be kept */
export function parseFilename(filename: string): string {
  const parsed = z.object({ filename: Filename }).safeParse({ filename });
  if (!parsed.success) throw invalid(parsed.error);
  return parsed.data.filename;
}

/** What a form without its file is answered with. */
export function missingFile(field: string): RequestError {
  return new RequestError(400, `Missing required parameter: '${field}'.`, {
    code: 'missing_required_parameter',
    param: field,
  });
}
