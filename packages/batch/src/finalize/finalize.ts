import { type Bucket, layout } from '@batchmill/bucket';
import { addFindings, addUsage, type FindingCounts, NO_USAGE, newId, progressUnit } from '@batchmill/contract';
import { metrics } from '@batchmill/telemetry';
import { type ResultRecord, resultRecord } from '../results/record.ts';
import {
  type BatchFact,
  CancelFact,
  countUnits,
  FinalFact,
  FinalizingFact,
  type Outcome,
  type PlanFact,
  readFact,
  settleFact,
} from '../state.ts';
import { lineId } from './line-id.ts';
import { mergeResults } from './merge.ts';
import { ResultFile } from './result-file.ts';

/**
 * Ends a batch: freezes which results count, streams them into the output and the error file in input order, and writes
 * `final.json` last, so that no file id is shown before its content can be downloaded. Safe to run again, and to run
 * twice at once: see `FinalizingFact`.
 */
export async function finalize(bucket: Bucket, batch: BatchFact, plan: PlanFact, outcome: Outcome): Promise<FinalFact> {
  const { tenant, id } = batch;
  const now = () => Math.floor(Date.now() / 1000);
  const parts: string[] = [];
  for await (const { key } of bucket.list(layout.batch.parts(tenant, id))) parts.push(key);
  const frozen = await settleFact(bucket, layout.batch.finalizing(tenant, id), FinalizingFact, {
    finalizing_at: now(),
    outcome,
    output_file_id: newId('file-'),
    error_file_id: newId('file-'),
    parts,
    units: progressUnit(batch.endpoint) === null ? 0 : (await countUnits(bucket, tenant, id)).done,
  });

  const expires = batch.output_lifetime === null ? {} : { expiresAt: now() + batch.output_lifetime };
  const output = new ResultFile(bucket, {
    tenant,
    id: frozen.output_file_id,
    filename: `${id}_output.jsonl`,
    ...expires,
  });
  const errors = new ResultFile(bucket, {
    tenant,
    id: frozen.error_file_id,
    filename: `${id}_error.jsonl`,
    ...expires,
  });
  const unfinished = (position: number, customId: string) => neverRun(id, frozen.outcome, position, customId);
  let usage = NO_USAGE;
  let findings: FindingCounts | null = null;
  try {
    for await (const records of mergeResults(bucket, { tenant, id }, plan, frozen.parts, unfinished)) {
      for (const record of records) {
        (record.ok ? output : errors).add(record.line);
        if (record.usage !== null) usage = addUsage(usage, record.usage);
        findings = addFindings(findings, record.findings);
      }
      await output.flush();
      await errors.flush();
    }
    if (batch.empty_output_file) output.open();
    const outputFile = await output.end();
    const errorFile = await errors.end();
    const cancel = await readFact(bucket, layout.batch.cancel(tenant, id), CancelFact);
    const final = await settleFact(bucket, layout.batch.final(tenant, id), FinalFact, {
      status: frozen.outcome,
      at: now(),
      in_progress_at: plan.in_progress_at,
      finalizing_at: frozen.finalizing_at,
      cancelling_at: frozen.outcome === 'cancelled' ? (cancel?.cancelling_at ?? null) : null,
      model: plan.model,
      total: plan.total,
      completed: output.lines,
      failed: errors.lines,
      usage,
      output_file_id: outputFile?.id ?? null,
      error_file_id: errorFile?.id ?? null,
      units: frozen.units,
      findings,
    });
    metrics.batchesEnded.inc({ status: final.status });
    return final;
  } catch (error) {
    output.abort();
    errors.abort();
    throw error;
  }
}

/** The error line of an item that was cancelled or expired before it had an answer. */
function neverRun(batchId: string, outcome: Outcome, position: number, customId: string): ResultRecord {
  const error =
    outcome === 'cancelled'
      ? { code: 'batch_cancelled', message: 'This request was not executed because the batch was cancelled.' }
      : { code: 'batch_expired', message: 'This request was not executed before the completion window expired.' };
  return resultRecord(position, { id: lineId(batchId, position), custom_id: customId, response: null, error }, null);
}
