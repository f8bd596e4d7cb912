import { type Bucket, layout } from '@batchmill/bucket';
import { type BatchObject, progressUnit } from '@batchmill/contract';
import {
  BatchFact,
  CancelFact,
  countUnits,
  estimateUnits,
  FailedFact,
  FinalFact,
  FinalizingFact,
  listProgress,
  PlanFact,
  readFact,
  sumProgress,
} from './state.ts';

/** A batch as clients see it, derived from the facts that exist; `null` if there is no such batch. */
export async function viewBatch(bucket: Bucket, tenant: string, id: string): Promise<BatchObject | null> {
  const at = layout.batch;
  const [batch, final, failed] = await Promise.all([
    readFact(bucket, at.batch(tenant, id), BatchFact),
    readFact(bucket, at.final(tenant, id), FinalFact),
    readFact(bucket, at.failed(tenant, id), FailedFact),
  ]);
  if (batch === null) return null;
  const view = accepted(batch);
  if (final !== null) return ended(view, final);
  if (failed !== null) {
    return {
      ...view,
      status: 'failed',
      failed_at: failed.failed_at,
      errors: { object: 'list', data: failed.errors },
    };
  }
  const [plan, cancel, finalizing, progress] = await Promise.all([
    readFact(bucket, at.plan(tenant, id), PlanFact),
    readFact(bucket, at.cancel(tenant, id), CancelFact),
    readFact(bucket, at.finalizing(tenant, id), FinalizingFact),
    listProgress(bucket, tenant, id),
  ]);
  const unit = progressUnit(batch.endpoint);
  if (plan !== null) {
    view.status = 'in_progress';
    view.in_progress_at = plan.in_progress_at;
    view.model = plan.model;
    const counts = sumProgress(plan, progress);
    view.request_counts = { total: plan.total, ...counts };
    if (unit !== null) {
      const units = await countUnits(bucket, tenant, id);
      const total = estimateUnits(units, plan.total, counts.completed + counts.failed);
      view.progress = { unit, done: units.done, total };
    }
  }
  if (cancel !== null) {
    view.status = 'cancelling';
    view.cancelling_at = cancel.cancelling_at;
  }
  if (finalizing !== null) {
    // A cancelled batch stays `cancelling` until its files are there, as OpenAI's does.
    if (finalizing.outcome !== 'cancelled') view.status = 'finalizing';
    view.finalizing_at = finalizing.finalizing_at;
  }
  return view;
}

/** A batch as it is when it has just been accepted. */
export function accepted(batch: BatchFact): BatchObject {
  return {
    id: batch.id,
    object: 'batch',
    endpoint: batch.endpoint,
    model: null,
    errors: null,
    input_file_id: batch.input_file_id,
    completion_window: batch.completion_window,
    status: 'validating',
    output_file_id: null,
    error_file_id: null,
    created_at: batch.created_at,
    in_progress_at: null,
    expires_at: batch.expires_at,
    finalizing_at: null,
    completed_at: null,
    failed_at: null,
    expired_at: null,
    cancelling_at: null,
    cancelled_at: null,
    request_counts: { total: 0, completed: 0, failed: 0 },
    usage: null,
    metadata: batch.metadata,
    progress: null,
    content_filter_summary: null,
    ...(batch.webhook === null ? {} : { webhook: batch.webhook }),
    ...(batch.retry_of === null ? {} : { retry_of: batch.retry_of.batch_id }),
  };
}

function ended(view: BatchObject, final: FinalFact): BatchObject {
  const unit = progressUnit(view.endpoint);
  return {
    ...view,
    status: final.status,
    [`${final.status}_at`]: final.at,
    model: final.model,
    in_progress_at: final.in_progress_at,
    finalizing_at: final.finalizing_at,
    cancelling_at: final.cancelling_at,
    request_counts: { total: final.total, completed: final.completed, failed: final.failed },
    usage: final.usage,
    progress: unit === null ? null : { unit, done: final.units, total: final.units },
    content_filter_summary: final.findings,
    output_file_id: final.output_file_id,
    error_file_id: final.error_file_id,
  };
}
