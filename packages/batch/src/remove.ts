import { type Bucket, layout } from '@batchmill/bucket';
import { isId, RequestError, RetryKind } from '@batchmill/contract';
import { removeFile } from '@batchmill/files';
import { z } from 'zod';
import { deletePrefix } from './prefix.ts';
import { kindsOf } from './retry.ts';
import { BatchFact, FailedFact, FinalFact, readFact } from './state.ts';

/** What is needed to finish a deletion once the batch itself is gone. */
const Deleting = z.object({
  files: z.array(z.string()),
  retry_of: z.object({ batch_id: z.string(), only: z.array(RetryKind) }).nullable(),
});
type Deleting = z.infer<typeof Deleting>;

/** A deletion that is this old was given up half-way. */
const GIVEN_UP_MS = 60_000;

/**
 * Deletes a batch that has ended, with its output and its error file and everything else that is kept of it. Its input file
 * stays, which may be that of other batches; so do the audit log and what is in quarantine, which are the operator's.
 * A crash on the way is finished by the sweep. `false` if there is no such batch.
 * @throws RequestError 409 `batch_not_ended`.
 */
export async function deleteBatch(bucket: Bucket, tenant: string, id: string): Promise<boolean> {
  if (!isId('batch_', id)) return false;
  const at = layout.batch;
  const [batch, final, failed, open] = await Promise.all([
    readFact(bucket, at.batch(tenant, id), BatchFact),
    readFact(bucket, at.final(tenant, id), FinalFact),
    readFact(bucket, at.failed(tenant, id), FailedFact),
    bucket.head(at.open(tenant, id)),
  ]);
  if (batch === null) return false;
  if (final === null && failed === null)
    throw new RequestError(409, `Batch '${id}' has not ended. Cancel it, or wait for its end, before you delete it.`, {
      code: 'batch_not_ended',
    });
  // Ended, but what runs it is still clearing up after it, and telling its webhooks.
  if (open !== null)
    throw new RequestError(409, `Batch '${id}' has just ended and is being put away. Try again in a moment.`, {
      code: 'batch_not_ended',
      again: { retry: true, seconds: 1 },
    });
  await remove(bucket, tenant, id, {
    files: [final?.output_file_id, final?.error_file_id].filter((file) => file != null),
    retry_of: batch.retry_of,
  });
  return true;
}

/** Finishes deletions that a crash cut short. Safe to run at any time, and on several workers at once. */
export async function sweepDeletions(bucket: Bucket, now = Date.now()): Promise<number> {
  let finished = 0;
  const prefix = layout.batch.deletingPrefix;
  for await (const { key, modified } of bucket.list(prefix)) {
    const [id, tenant] = key.slice(prefix.length).split('/');
    if (id === undefined || tenant === undefined || modified + GIVEN_UP_MS > now) continue;
    const marker = await readFact(bucket, key, Deleting);
    if (marker === null) continue;
    await remove(bucket, tenant, id, marker);
    finished++;
  }
  return finished;
}

/** The batch itself goes first, so that nobody meets half of it; the marker, by which the sweep finds the rest, goes last. */
async function remove(bucket: Bucket, tenant: string, id: string, what: Deleting): Promise<void> {
  const at = layout.batch;
  const marker = at.deleting(tenant, id);
  await bucket.put(marker, JSON.stringify(what));
  await bucket.delete(at.batch(tenant, id));
  await bucket.delete(at.index(tenant, id));
  for (const file of what.files) await removeFile(bucket, tenant, file);
  await deletePrefix(bucket, at.prefix(tenant, id));
  if (what.retry_of !== null) {
    const place = at.retry(tenant, what.retry_of.batch_id, kindsOf(what.retry_of.only));
    const named = await readFact(bucket, place, z.object({ batch_id: z.string() }));
    if (named?.batch_id === id) await bucket.delete(place);
  }
  await bucket.delete(marker);
}
