export { finalize } from './finalize/finalize.ts';
export { lineId } from './finalize/line-id.ts';
export { type Estimate, estimate } from './plan/estimate.ts';
export { type Line, splitLines } from './plan/lines.ts';
export { PLAN_LIMITS, type PlanLimits } from './plan/plan.ts';
export { SHARD_LIMITS } from './plan/shards.ts';
export { type PlannedLine, validateLine } from './plan/validate.ts';
export { heldBy, NO_QUOTA, openBatchesOf, type Quota } from './quota.ts';
export { type ReconcileDeps, reconcile, type Step } from './reconcile.ts';
export { deleteBatch, sweepDeletions } from './remove.ts';
export {
  type BatchDeps,
  type BatchOptions,
  cancelBatch,
  createBatch,
  getBatch,
  inputFile,
  isCancelled,
  listBatches,
} from './requests.ts';
export { countPieces, type KeptPieces, LENGTH, type PieceRecord, readPieces, writePieces } from './results/pieces.ts';
export { decodeRecords, type ResultRecord, resultRecord } from './results/record.ts';
export { type Item, PartWriter, readFinished, readShard } from './results/shard.ts';
export { streamResults } from './results/stream.ts';
export { getRetryable, type Retryable, retryBatch } from './retry.ts';
export { urgentFrom } from './schedule/priority.ts';
export { Schedule, type ScheduleOptions } from './schedule/schedule.ts';
export { BatchFact, FinalFact, FinalizingFact, listProgress, PlanFact, readFact, settleFact } from './state.ts';
export { sweep } from './sweep.ts';
export { type Tidied, tidy } from './tidy.ts';
export { viewBatch } from './view.ts';
