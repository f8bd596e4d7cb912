import { type Bucket, layout } from '@batchmill/bucket';
import { idTime } from '@batchmill/contract';
import { hasExpired, removeFile } from './files.ts';
import { publishFile, readMeta, STAGED_SECONDS } from './stage.ts';

const EXPIRES = /^index\/expires\/(\d{12})\/([^/]+)\/(file-[0-9a-f]{32})$/;
const UPLOAD = /^uploads\/[^/]+\/(upload_[0-9a-f]{32})\//;

/** An upload's objects stay this long after its creation: far past its hour, so that a slow `complete` is not cut off. */
const UPLOAD_SECONDS = 86_400;

export interface Swept {
  /** Expired files and content that was never published. */
  files: number;
  /** Objects of uploads that are over. */
  uploadObjects: number;
}

/**
 * Deletes what nobody can reach any more: expired files, content left by a crash before its meta.json was written, and
 * uploads a day after their creation. Safe to run on several workers at once and at any time.
 *
 * @param now Unix milliseconds
 */
export async function sweepFiles(bucket: Bucket, now = Date.now()): Promise<Swept> {
  const swept: Swept = { files: 0, uploadObjects: 0 };
  for await (const { key } of bucket.list(layout.file.expiresPrefix)) {
    const [, seconds, tenant, id] = EXPIRES.exec(key) ?? [];
    if (seconds === undefined || tenant === undefined || id === undefined) continue;
    if (Number(seconds) * 1000 > now) break;
    if (await sweepFile(bucket, key, tenant, id, now)) swept.files += 1;
  }
  for await (const { key } of bucket.list(layout.upload.prefix)) {
    const created = idTime(UPLOAD.exec(key)?.[1] ?? '');
    if (created === null || created + UPLOAD_SECONDS * 1000 > now) continue;
    await bucket.delete(key);
    swept.uploadObjects += 1;
  }
  return swept;
}

/** Deals with one entry that is due. True if a file, or content without one, was deleted. */
async function sweepFile(bucket: Bucket, entry: string, tenant: string, id: string, now: number): Promise<boolean> {
  const file = await readMeta(bucket, tenant, id);
  if (file !== null && hasExpired(file, now)) {
    await removeFile(bucket, tenant, id);
    await bucket.delete(entry);
    return true;
  }
  if (file !== null) {
    // The entry is the marker of a `publish` that a crash cut short: finish it.
    await publishFile(bucket, tenant, {
      id,
      bytes: file.bytes,
      filename: file.filename,
      purpose: file.purpose,
      ...(file.expires_at === undefined ? {} : { expiresAt: file.expires_at }),
    });
    await bucket.delete(entry);
    return false;
  }
  const content = await bucket.head(layout.file.content(tenant, id));
  // Somebody may be writing the same id again right now (a finalizer's second attempt): leave young content alone.
  if (content !== null && content.modified + STAGED_SECONDS * 1000 > now) return false;
  await bucket.delete(layout.file.content(tenant, id));
  await bucket.delete(layout.file.index(tenant, id));
  await bucket.delete(entry);
  return content !== null;
}
