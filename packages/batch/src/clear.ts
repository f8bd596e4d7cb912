import { type Bucket, layout, parseEnded } from '@batchmill/bucket';

/**
 * How long after its end a batch is cleared once more. A worker that was thought dead, or a planner, may have gone on: what it
 * writes after the end is read by nobody, and without this look nobody would find it.
 */
export const LATE_SECONDS = 3_600;

/** Deletes what only served to run a batch that has ended. */
export async function clearRun(bucket: Bucket, tenant: string, id: string): Promise<void> {
  const prefix = layout.batch.prefix(tenant, id);
  await deletePrefix(bucket, `${prefix}shards/`);
  await deletePrefix(bucket, layout.batch.parts(tenant, id));
  await deletePrefix(bucket, layout.batch.pieces(tenant, id));
  // After the results: a part that is there and not told would be told again.
  await deletePrefix(bucket, layout.batch.toldPrefix(tenant, id));
}

/** Clears the batches that ended `LATE_SECONDS` ago of what came late. `now` in Unix milliseconds. */
export async function clearLate(bucket: Bucket, now: number): Promise<void> {
  for await (const { key } of bucket.list(layout.batch.endedPrefix)) {
    const entry = parseEnded(key);
    if (entry === null) continue;
    if (entry.seconds * 1000 > now) break;
    await clearRun(bucket, entry.tenant, entry.id);
    await bucket.delete(key);
  }
}

async function deletePrefix(bucket: Bucket, prefix: string): Promise<void> {
  const pending = new Set<Promise<void>>();
  for await (const { key } of bucket.list(prefix)) {
    const deleting = bucket.delete(key).finally(() => pending.delete(deleting));
    // Heard here as well: of several that fail at once, or while the list is read on, the waits below hear only one.
    deleting.catch(() => {});
    pending.add(deleting);
    if (pending.size >= 16) await Promise.race(pending);
  }
  await Promise.all(pending);
}
