import { setTimeout as sleep } from 'node:timers/promises';
import type { BatchObject } from '@batchmill/contract';
import type { Progress } from './progress.ts';

const ENDED = new Set(['completed', 'failed', 'expired', 'cancelled']);

/** Shows a batch's progress until it has ended, and gives its last state. */
export async function watchBatch(
  get: () => Promise<BatchView>,
  progress: Progress,
  options: { everyMs?: number } = {},
): Promise<BatchView> {
  for (;;) {
    const batch = await get();
    const { total = 0, completed = 0, failed = 0 } = batch.request_counts ?? {};
    const done = completed + failed;
    const errors = failed > 0 ? ` (${failed} failed)` : '';
    if (ENDED.has(batch.status)) {
      progress.end();
      return batch;
    }
    progress.update(`${batch.status}${errors}`, total > 0 ? done : undefined, total > 0 ? total : undefined);
    await sleep(options.everyMs ?? 500);
  }
}

/** What `watchBatch` looks at: the same from the SDK and from our own code. */
export type BatchView = Pick<BatchObject, 'id' | 'status'> & {
  request_counts?: { total: number; completed: number; failed: number } | undefined;
  output_file_id?: string | null | undefined;
  error_file_id?: string | null | undefined;
  errors?: { data?: { code?: string; line?: number | null; message?: string }[] | undefined } | null | undefined;
};

/** One paragraph on how a batch ended. */
export function summary(batch: BatchView): string {
  const { total = 0, completed = 0, failed = 0 } = batch.request_counts ?? {};
  if (batch.status === 'failed') {
    const errors = batch.errors?.data ?? [];
    const lines = errors
      .slice(0, 20)
      .map((e) => `  ${e.line == null ? '' : `line ${e.line}: `}${e.code}: ${e.message}`);
    const more = errors.length > lines.length ? [`  … and ${errors.length - lines.length} more`] : [];
    return [
      `${batch.id} failed: the input file has ${errors.length} ${errors.length === 1 ? 'error' : 'errors'}.`,
      ...lines,
      ...more,
    ].join('\n');
  }
  return `${batch.id} ${batch.status}: ${completed} of ${total} answered, ${failed} failed.`;
}

/** 0 if every item was answered, 1 otherwise: what scripts look at. */
export function exitCode(batch: BatchView): number {
  return batch.status === 'completed' && (batch.request_counts?.failed ?? 0) === 0 ? 0 : 1;
}
