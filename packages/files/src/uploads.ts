import { createHash } from 'node:crypto';
import { type Bucket, layout, ObjectMissingError } from '@batchmill/bucket';
import {
  type FileObject,
  isId,
  newId,
  RequestError,
  type UploadComplete,
  type UploadCreate,
  type UploadObject,
  type UploadPart,
} from '@batchmill/contract';
import { inOrder } from './ordered.ts';
import { atMost, lifetime, publishFile, readMeta, type StagedFile, stageBy } from './stage.ts';
import {
  assertPending,
  newRecord,
  readEnd,
  readUpload,
  toUpload,
  UPLOAD_LIMITS,
  type UploadEnd,
  type UploadLimits,
  type UploadRecord,
  uploadOver,
} from './upload.ts';

/**
 * Begins an upload of up to 8 GB in parts, which must be completed within an hour. `mostSeconds`: see `FileDetails`.
 *
 * @throws RequestError 400 if `bytes` is over the limit: before a byte is sent
 */
export async function createUpload(
  bucket: Bucket,
  tenant: string,
  input: UploadCreate,
  options: { limits?: UploadLimits; mostSeconds?: number | null } = {},
): Promise<UploadObject> {
  const limits = options.limits ?? UPLOAD_LIMITS;
  if (input.bytes > limits.maxBytes) {
    throw new RequestError(400, `Invalid value for 'bytes': at most ${limits.maxBytes} are allowed.`, {
      code: 'invalid_value',
      param: 'bytes',
    });
  }
  const { bytes, filename, purpose } = input;
  const fileSeconds = lifetime(purpose, input.expires_after?.seconds ?? null, options.mostSeconds ?? null);
  const record = newRecord({ bytes, filename, purpose, fileSeconds });
  await bucket.put(layout.upload.upload(tenant, record.id), JSON.stringify(record));
  return toUpload({ record, end: null });
}

/**
 * Adds one part. Parts may come in parallel and in any order. `null` if there is no such upload.
 *
 * @throws RequestError 400 if the upload is over or full, 413 if the part is larger than 64 MB or than what is left
 */
export async function addPart(
  bucket: Bucket,
  tenant: string,
  id: string,
  source: AsyncIterable<Uint8Array>,
  options: { signal?: AbortSignal; limits?: UploadLimits } = {},
): Promise<UploadPart | null> {
  const limits = options.limits ?? UPLOAD_LIMITS;
  const upload = await readUpload(bucket, tenant, id);
  if (upload === null) return null;
  assertPending(upload);
  const sizes = await partSizes(bucket, tenant, id);
  const left = limits.maxBytes - sum(sizes.values());
  if (sizes.size >= limits.maxParts || left <= 0) {
    throw new RequestError(400, `Upload '${id}' is full: ${limits.maxParts} parts, ${limits.maxBytes} bytes.`, {
      code: 'upload_full',
    });
  }
  const now = Date.now();
  const part = newId('part_', now);
  const key = layout.upload.part(tenant, id, part);
  await bucket.write(
    key,
    atMost(source, Math.min(left, limits.maxPartBytes)),
    options.signal === undefined ? {} : { signal: options.signal },
  );
  const end = await readEnd(bucket, tenant, id);
  if (end !== null) {
    // It ended while the part was under way: the part would only lie around.
    await bucket.delete(key);
    throw uploadOver(id, end.status);
  }
  return { id: part, object: 'upload.part', created_at: Math.floor(now / 1000), upload_id: id };
}

/**
 * Joins the parts in the order given and publishes the file. `null` if there is no such upload. May be repeated, also
 * at the same time: every call with the same parts gets the same file.
 *
 * @throws RequestError 400 if a part is unknown, the sizes do not add up, the MD5 differs, the upload was cancelled or
 *   has expired, or it was completed with other parts
 */
export async function completeUpload(
  bucket: Bucket,
  tenant: string,
  id: string,
  input: UploadComplete,
): Promise<UploadObject | null> {
  const upload = await readUpload(bucket, tenant, id);
  if (upload === null) return null;
  let end = upload.end;
  if (end === null) {
    assertPending(upload);
    end = await join(bucket, tenant, upload.record, input);
  }
  if (end.status === 'cancelled' || !equal(end.part_ids, input.part_ids)) throw uploadOver(id, end.status);
  const file = await publishJoined(bucket, tenant, upload.record, end.file_id);
  await removeParts(bucket, tenant, id);
  return toUpload({ record: upload.record, end }, file);
}

/**
 * Gives an upload up and deletes its parts. `null` if there is no such upload. May be repeated.
 *
 * @throws RequestError 400 if it is completed or has expired
 */
export async function cancelUpload(bucket: Bucket, tenant: string, id: string): Promise<UploadObject | null> {
  const upload = await readUpload(bucket, tenant, id);
  if (upload === null) return null;
  const { record } = upload;
  let end = upload.end;
  if (end === null) {
    assertPending(upload);
    end = await endUpload(bucket, tenant, id, { status: 'cancelled' });
  }
  if (end.status === 'completed') throw uploadOver(id, 'completed');
  await removeParts(bucket, tenant, id);
  return toUpload({ record, end });
}

/** Writes the joined content and settles who ends the upload. Returns how it ended. */
async function join(bucket: Bucket, tenant: string, record: UploadRecord, input: UploadComplete): Promise<UploadEnd> {
  await checkParts(bucket, tenant, record, input.part_ids);
  const keys = input.part_ids.map((part) => layout.upload.part(tenant, record.id, part));
  let staged: StagedFile;
  try {
    staged = await stageBy(bucket, tenant, newId('file-'), async (key, marked) => {
      await marked;
      return bucket.concat(key, keys);
    });
  } catch (error) {
    // The parts are gone when another call has ended the upload meanwhile.
    const end = error instanceof ObjectMissingError ? await readEnd(bucket, tenant, record.id) : null;
    if (end === null) throw error;
    return end;
  }
  if (input.md5 !== undefined) {
    const md5 = await md5Of(bucket, layout.file.content(tenant, staged.id));
    if (md5 !== input.md5.toLowerCase()) {
      await staged.discard();
      throw invalidValue('md5', `the MD5 of the uploaded bytes is ${md5}`);
    }
  }
  const mine: UploadEnd = { status: 'completed', file_id: staged.id, part_ids: input.part_ids };
  const end = await endUpload(bucket, tenant, record.id, mine);
  if (end !== mine) await staged.discard();
  return end;
}

/** Ends the upload this way, unless it has ended already: returns how it ended. */
async function endUpload(bucket: Bucket, tenant: string, id: string, mine: UploadEnd): Promise<UploadEnd> {
  if (await bucket.create(layout.upload.ended(tenant, id), JSON.stringify(mine))) return mine;
  const end = await readEnd(bucket, tenant, id);
  if (end === null) throw new Error(`ended.json of ${id} is gone`);
  return end;
}

/** The file of a completed upload; `null` if it has been deleted since. */
async function publishJoined(
  bucket: Bucket,
  tenant: string,
  record: UploadRecord,
  fileId: string,
): Promise<FileObject | null> {
  const published = await readMeta(bucket, tenant, fileId);
  if (published !== null) return published;
  if ((await bucket.head(layout.file.content(tenant, fileId))) === null) return null;
  return await publishFile(bucket, tenant, {
    id: fileId,
    bytes: record.bytes,
    filename: record.filename,
    purpose: record.purpose,
    ...(record.file_seconds === null ? {} : { secondsToLive: record.file_seconds }),
  });
}

async function checkParts(bucket: Bucket, tenant: string, record: UploadRecord, parts: string[]): Promise<void> {
  const sizes = await partSizes(bucket, tenant, record.id);
  const seen = new Set<string>();
  let total = 0;
  for (const part of parts) {
    const size = isId('part_', part) ? sizes.get(part) : undefined;
    if (size === undefined) throw invalidValue('part_ids', `no part '${part}' was added to this upload`);
    if (seen.has(part)) throw invalidValue('part_ids', `part '${part}' is named twice`);
    seen.add(part);
    total += size;
  }
  if (total !== record.bytes) {
    throw invalidValue('part_ids', `the parts have ${total} bytes in all, the upload was created for ${record.bytes}`);
  }
}

async function partSizes(bucket: Bucket, tenant: string, id: string): Promise<Map<string, number>> {
  const prefix = layout.upload.parts(tenant, id);
  const sizes = new Map<string, number>();
  for await (const object of bucket.list(prefix)) sizes.set(object.key.slice(prefix.length), object.bytes);
  return sizes;
}

async function removeParts(bucket: Bucket, tenant: string, id: string): Promise<void> {
  const deleted = inOrder(bucket.list(layout.upload.parts(tenant, id)), 16, ({ key }) => bucket.delete(key));
  for await (const _ of deleted);
}

async function md5Of(bucket: Bucket, key: string): Promise<string> {
  const hash = createHash('md5');
  for await (const chunk of (await bucket.read(key)) ?? []) hash.update(chunk);
  return hash.digest('hex');
}

function invalidValue(param: string, why: string): RequestError {
  return new RequestError(400, `Invalid value for '${param}': ${why}.`, { code: 'invalid_value', param });
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const n of numbers) total += n;
  return total;
}

function equal(a: string[], b: string[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
