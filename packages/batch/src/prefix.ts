import type { Bucket, ObjectInfo } from '@batchmill/bucket';

/** Deletions under way at a time: hides a store's latency without flooding it. */
const DELETES = 16;

/** Deletes every object whose key begins with `prefix`, or of these the ones `pick` names. Returns how many. */
export async function deletePrefix(
  bucket: Bucket,
  prefix: string,
  pick: (object: ObjectInfo) => boolean = () => true,
): Promise<number> {
  const pending = new Set<Promise<void>>();
  let deleted = 0;
  for await (const object of bucket.list(prefix)) {
    if (!pick(object)) continue;
    deleted++;
    const deleting = bucket.delete(object.key).finally(() => pending.delete(deleting));
    // Of several that fail at once the first is told; the others must not count as unhandled.
    deleting.catch(() => {});
    pending.add(deleting);
    if (pending.size >= DELETES) await Promise.race(pending);
  }
  await Promise.all(pending);
  return deleted;
}
