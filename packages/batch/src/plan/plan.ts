import { type Bucket, layout } from '@batchmill/bucket';
import type { BatchError } from '@batchmill/contract';
import { readFile } from '@batchmill/files';
import { metrics } from '@batchmill/telemetry';
import { type BatchFact, FailedFact, PlanFact, settleFact } from '../state.ts';
import { estimate } from './estimate.ts';
import { Fingerprints } from './fingerprints.ts';
import { splitLines } from './lines.ts';
import { failedLines } from './retried.ts';
import { ShardWriter } from './shards.ts';
import { validateLine } from './validate.ts';

export interface PlanLimits {
  /** Most items in a batch. Default 50,000, as OpenAI's. */
  items: number;
  /** Longest line in bytes. */
  lineBytes: number;
}

export const PLAN_LIMITS: PlanLimits = { items: 50_000, lineBytes: 64 * 1024 * 1024 };

/** Errors kept of one file; the last entry says how many more there were. */
const MAX_ERRORS = 10_000;

/**
 * Reads a batch's input once, in flat memory, and writes either `plan.json` with its shards or `failed.json` with every
 * bad line. `plan.json` is written last, so a crash before it repeats the planning: the input never changes, so the same
 * shards come out.
 */
export async function planBatch(
  bucket: Bucket,
  batch: BatchFact,
  limits: PlanLimits,
): Promise<{ plan: PlanFact } | { failed: FailedFact }> {
  const errors: BatchError[] = [];
  let unlisted = 0;
  const report = (error: BatchError) => {
    if (errors.length < MAX_ERRORS) errors.push(error);
    else unlisted++;
  };
  const ofFile = (code: string, message: string) => report({ code, line: null, message, param: null });

  const writer = new ShardWriter(bucket, batch.tenant, batch.id);
  const seen = new Fingerprints();
  let position = 0;
  let model: string | null = null;

  const again = batch.retry_of === null ? null : await failedLines(bucket, batch.tenant, batch.retry_of);
  const source = await readFile(bucket, batch.tenant, batch.input_file_id);
  if (again === 'gone') {
    ofFile('file_not_found', `The error file of '${batch.retry_of?.batch_id}' was deleted or has expired.`);
  } else if (source === null) {
    ofFile('file_not_found', `The input file '${batch.input_file_id}' was deleted or has expired.`);
  } else {
    for await (const lines of splitLines(source, limits.lineBytes)) {
      for (const line of lines) {
        const result = validateLine(line, batch.endpoint, limits.lineBytes);
        if ('code' in result) {
          report(result);
          continue;
        }
        const at = { line: line.number };
        if (again !== null && !again.has(result.customId)) continue;
        if (!seen.add(result.customId)) {
          report({
            ...at,
            code: 'duplicate_custom_id',
            message: `The custom_id '${result.customId}' was used by an earlier line. Each must be unique.`,
            param: 'custom_id',
          });
          continue;
        }
        model ??= result.model;
        if (result.model !== null && result.model !== model) {
          report({
            ...at,
            code: 'model_mismatch',
            message: `This line asks for the model '${result.model}', an earlier one for '${model}'. All lines of a batch must use the same model.`,
            param: 'body.model',
          });
          continue;
        }
        // Once the file is known to be wrong, or too long, its lines are only checked.
        if (errors.length === 0 && position < limits.items && line.bytes !== null)
          await writer.add(position, line.bytes, estimate(batch.endpoint, result.body, line.bytes.length));
        position++;
      }
    }
    if (position === 0 && errors.length === 0) ofFile('empty_file', 'The input file has no requests.');
    if (position > limits.items)
      ofFile(
        'too_many_tasks',
        `The input file has ${position} requests; the limit is ${limits.items}. Split it into several batches.`,
      );
  }
  if (unlisted > 0) {
    errors.push({
      code: 'more_errors',
      line: null,
      message: `${unlisted} more lines have errors; the first ${MAX_ERRORS} are listed.`,
      param: null,
    });
  }

  const shards = await writer.end();
  const now = Math.floor(Date.now() / 1000);
  if (errors.length > 0) {
    const failed = await settleFact(bucket, layout.batch.failed(batch.tenant, batch.id), FailedFact, {
      failed_at: now,
      errors,
    });
    metrics.batchesEnded.inc({ status: 'failed' });
    return { failed };
  }
  const plan = await settleFact(bucket, layout.batch.plan(batch.tenant, batch.id), PlanFact, {
    in_progress_at: now,
    model,
    total: position,
    shards,
  });
  return { plan };
}
