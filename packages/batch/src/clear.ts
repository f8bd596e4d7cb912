import { type Bucket, layout, parseEnded } from '@batchmill/bucket';
import { deletePrefix } from './prefix.ts';

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
