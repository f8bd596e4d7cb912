import { type Bucket, layout } from '@batchmill/bucket';
import { sweepFiles } from '@batchmill/files';
import type { Queues } from '@batchmill/queue';
import { clearLate } from './clear.ts';
import { sweepDeletions } from './remove.ts';

/**
 * The safety net under every trigger: makes each open batch be looked at, deletes files that have expired and what came
 * late for batches that have ended, and finishes deletions of batches that a crash cut short. Whatever the queue lost,
 * forgot or never knew, this finds it in the bucket.
 *
 * @param now Unix milliseconds.
 * @returns how many batches are open.
 */
export async function sweep(
  bucket: Bucket,
  queues: Pick<Queues, 'triggerReconcile'>,
  now = Date.now(),
): Promise<{ open: number }> {
  let open = 0;
  for await (const { key } of bucket.list(layout.batch.openPrefix)) {
    const [batchId, tenant] = key.slice(layout.batch.openPrefix.length).split('/');
    if (batchId === undefined || tenant === undefined) continue;
    open++;
    await queues.triggerReconcile({ tenant, batchId });
  }
  await clearLate(bucket, now);
  await sweepFiles(bucket, now);
  await sweepDeletions(bucket, now);
  return { open };
}
