import { layout } from '@batchmill/bucket';
import {
  type BatchObject,
  type BatchRetry,
  Endpoint,
  isId,
  newId,
  RequestError,
  type RetryKind,
} from '@batchmill/contract';
import { getFile } from '@batchmill/files';
import { z } from 'zod';
import { failedLines } from './plan/retried.ts';
import { type BatchDeps, type BatchOptions, createBatch } from './requests.ts';
import { BatchFact, FailedFact, FinalFact, readFact, settleFact } from './state.ts';
import { viewBatch } from './view.ts';

/** Which batch does the lines of another again. Written once, so that asking twice makes one. */
const RetryFact = z.object({ batch_id: z.string() });

/** What a retry takes over of the batch it does again. */
export interface Retryable {
  fact: BatchFact;
  final: FinalFact & { error_file_id: string };
}

/**
 * A batch with lines that can be done again; `null` if there is no such batch.
 * @throws RequestError 409 `batch_not_ended`, or `nothing_to_retry`.
 */
export async function getRetryable(deps: BatchDeps, tenant: string, id: string): Promise<Retryable | null> {
  if (!isId('batch_', id)) return null;
  const at = layout.batch;
  const [fact, final, failed] = await Promise.all([
    readFact(deps.bucket, at.batch(tenant, id), BatchFact),
    readFact(deps.bucket, at.final(tenant, id), FinalFact),
    readFact(deps.bucket, at.failed(tenant, id), FailedFact),
  ]);
  if (fact === null) return null;
  if (failed !== null)
    throw nothing(`None of its lines was run, since its file has errors. Put them right and create a new batch.`);
  if (final === null)
    throw new RequestError(409, `Batch '${id}' has not ended. Wait for its end, or cancel it first.`, {
      code: 'batch_not_ended',
    });
  if (final.error_file_id === null) throw nothing(`All ${final.total} lines of batch '${id}' were answered.`);
  return { fact, final: { ...final, error_file_id: final.error_file_id } };
}

/**
 * Makes a batch of the lines of another that failed, expired or were cancelled: all, or of the kinds in `only`. Asked again for
 * the same kinds, also at the same time, it gives the batch that was made, as it is by then.
 * @throws RequestError 409 `nothing_to_retry`, or `file_gone` if the input or the error file was deleted or has expired; what
 *   `createBatch` throws.
 */
export async function retryBatch(
  deps: BatchDeps,
  { fact, final }: Retryable,
  input: BatchRetry,
  options: Omit<BatchOptions, 'retry' | 'id'>,
): Promise<BatchObject> {
  const { bucket } = deps;
  const { tenant } = fact;
  const only = [...new Set(input.only)].sort();
  const place = layout.batch.retry(tenant, fact.id, kindsOf(only));
  const before = await readFact(bucket, place, RetryFact);
  const made = before === null ? null : await viewBatch(bucket, tenant, before.batch_id);
  if (made !== null) return made;
  if (before !== null && (await bucket.head(layout.batch.deleting(tenant, before.batch_id))) !== null)
    throw new RequestError(409, `The batch that was made of these lines, '${before.batch_id}', is being deleted.`, {
      code: 'batch_not_ended',
      again: { retry: true, seconds: 1 },
    });

  if ((await getFile(bucket, tenant, fact.input_file_id)) === null) throw gone('input', fact.input_file_id);
  const retry = { batch_id: fact.id, error_file_id: final.error_file_id, only };
  const items = await countFailed(deps, tenant, retry, final.failed);
  if (items === 0) throw nothing(`No line of batch '${fact.id}' is ${only.join(' or ').replace('_', ' ')}.`);
  // Before the batch: of two who ask at once, both go on with the same id.
  const { batch_id: id } = await settleFact(bucket, place, RetryFact, { batch_id: newId('batch_') });
  const request = {
    input_file_id: fact.input_file_id,
    endpoint: Endpoint.parse(fact.endpoint),
    completion_window: input.completion_window ?? fact.completion_window,
    metadata: input.metadata === undefined ? fact.metadata : input.metadata,
    empty_output_file: fact.empty_output_file,
    ...(input.output_expires_after === undefined ? {} : { output_expires_after: input.output_expires_after }),
  };
  return createBatch(deps, tenant, request, { ...options, id, retry: { ...retry, items, of: final.total } });
}

/** Where the retry of some kinds of lines is named. */
export function kindsOf(only: readonly RetryKind[]): string {
  return only.toSorted().join('-').replaceAll('_', '');
}

async function countFailed(
  { bucket }: BatchDeps,
  tenant: string,
  retry: NonNullable<BatchFact['retry_of']>,
  all: number,
): Promise<number> {
  if ((await getFile(bucket, tenant, retry.error_file_id)) === null) throw gone('error', retry.error_file_id);
  const every = (['failed', 'expired', 'cancelled'] as const).every((kind) => retry.only.includes(kind));
  if (every) return all;
  const lines = await failedLines(bucket, tenant, retry);
  if (lines === 'gone') throw gone('error', retry.error_file_id);
  return lines.size;
}

function nothing(why: string): RequestError {
  return new RequestError(409, `There is nothing to retry. ${why}`, { code: 'nothing_to_retry' });
}

function gone(which: 'input' | 'error', id: string): RequestError {
  return new RequestError(
    409,
    `The ${which} file of the batch, '${id}', was deleted or has expired: its lines cannot be done again. Upload them, and create a new batch.`,
    { code: 'file_gone' },
  );
}
