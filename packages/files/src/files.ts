import { type Bucket, idOfIndexKey, layout } from '@batchmill/bucket';
import { type FileObject, type FilePurpose, isId, type Page, page, RequestError } from '@batchmill/contract';
import { inOrder } from './ordered.ts';
import { type FileDetails, readMeta, type StageOptions, stageFile } from './stage.ts';

/** Metadata objects read at a time while listing: hides a store's latency without flooding it. */
const READS = 32;

/**
 * Creates a file. The content is written first, then meta.json, then the index: an id is never shown before its content
 * can be downloaded, and a crash in between leaves nothing visible. With the `id` of an earlier attempt the file is
 * written again in its place.
 *
 * @throws RequestError 413 if the source is longer than `maxBytes`; whatever the source throws; BucketUnavailableError
 */
export async function createFile(
  bucket: Bucket,
  tenant: string,
  input: FileDetails & StageOptions & { source: AsyncIterable<Uint8Array> },
): Promise<FileObject> {
  const staged = await stageFile(bucket, tenant, input.source, input);
  return await staged.publish(input);
}

/** A file, or `null` if there is none or it has expired. Any string is a safe `id`. */
export async function getFile(bucket: Bucket, tenant: string, id: string): Promise<FileObject | null> {
  if (!isId('file-', id)) return null;
  const file = await readMeta(bucket, tenant, id);
  return file === null || hasExpired(file) ? null : file;
}

/** The content of a file, or `null` if there is none or it has expired. `range` as in `Bucket.read`. */
export async function readFile(
  bucket: Bucket,
  tenant: string,
  id: string,
  range?: { start: number; end?: number },
): Promise<AsyncIterable<Uint8Array> | null> {
  const file = await getFile(bucket, tenant, id);
  return file === null ? null : await readContent(bucket, tenant, file, range);
}

/** `readFile` of a file that was just looked up; `null` if it was deleted since. */
export function readContent(
  bucket: Bucket,
  tenant: string,
  file: FileObject,
  range?: { start: number; end?: number },
): Promise<AsyncIterable<Uint8Array> | null> {
  return bucket.read(layout.file.content(tenant, file.id), range);
}

/** Where a file can be downloaded directly for so many seconds; `null` where the bucket has no such addresses. */
export function contentUrl(bucket: Bucket, tenant: string, file: FileObject, seconds: number): Promise<string | null> {
  return bucket.presign(layout.file.content(tenant, file.id), { seconds, filename: file.filename });
}

export interface FileQuery {
  /** The id after which the page begins; the file itself may be gone. */
  after?: string;
  limit: number;
  order: 'asc' | 'desc';
  purpose?: FilePurpose;
}

/**
 * One page of a tenant's files, by age. Reads the keys of the page and no more.
 *
 * @throws RequestError 400 if `after` is no file id
 */
export async function listFiles(bucket: Bucket, tenant: string, query: FileQuery): Promise<Page<FileObject>> {
  if (query.after !== undefined && !isId('file-', query.after)) {
    throw new RequestError(400, `Invalid value for 'after': not a file id.`, { code: 'invalid_value', param: 'after' });
  }
  const ids =
    query.order === 'desc' ? newestFirst(bucket, tenant, query.after) : oldestFirst(bucket, tenant, query.after);
  const found: FileObject[] = [];
  for await (const file of inOrder(ids, Math.min(READS, query.limit + 1), (id) => readMeta(bucket, tenant, id))) {
    // An index entry without meta.json is a file that is being deleted.
    if (file === null || hasExpired(file)) continue;
    if (query.purpose !== undefined && file.purpose !== query.purpose) continue;
    if (found.length === query.limit) return page(found, true);
    found.push(file);
  }
  return page(found, false);
}

/**
 * Deletes a file; `false` if there is none. It is gone for readers first (meta.json), so that no reader meets a file
 * without content; a crash in between is finished by the sweep.
 */
export async function deleteFile(bucket: Bucket, tenant: string, id: string): Promise<boolean> {
  if ((await getFile(bucket, tenant, id)) === null) return false;
  await removeFile(bucket, tenant, id);
  return true;
}

/** Deletes everything of a file, expired or not, also what a crash left of it. */
export async function removeFile(bucket: Bucket, tenant: string, id: string): Promise<void> {
  const file = await readMeta(bucket, tenant, id);
  const marker = layout.file.expires(Math.floor(Date.now() / 1000), tenant, id);
  await bucket.put(marker, '');
  await bucket.delete(layout.file.meta(tenant, id));
  await bucket.delete(layout.file.content(tenant, id));
  await bucket.delete(layout.file.index(tenant, id));
  if (file?.expires_at !== undefined) await bucket.delete(layout.file.expires(file.expires_at, tenant, id));
  await bucket.delete(marker);
}

/** True once the file's time is over: from then on it is gone for everyone, swept or not. */
export function hasExpired(file: FileObject, now = Date.now()): boolean {
  return file.expires_at !== undefined && file.expires_at * 1000 <= now;
}

async function* newestFirst(bucket: Bucket, tenant: string, after?: string): AsyncGenerator<string> {
  const options = after === undefined ? {} : { after: layout.file.index(tenant, after) };
  for await (const entry of bucket.list(layout.file.indexPrefix(tenant), options)) yield idOfIndexKey(entry.key);
}

async function* oldestFirst(bucket: Bucket, tenant: string, after?: string): AsyncGenerator<string> {
  // `content` sorts before `meta.json`: after the latter, the next key is the next file's.
  const options = after === undefined ? {} : { after: layout.file.meta(tenant, after) };
  for await (const { key } of bucket.list(layout.file.oldestFirst(tenant), options)) {
    const id = /\/(file-[0-9a-f]{32})\/meta\.json$/.exec(key)?.[1];
    if (id !== undefined) yield id;
  }
}
