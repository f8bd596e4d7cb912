export { finalize, lineId } from './finalize/finalize.ts';
export { type Line, splitLines } from './plan/lines.ts';
export { PLAN_LIMITS, type PlanLimits } from './plan/plan.ts';
export { type ReconcileDeps, reconcile, type Step } from './reconcile.ts';
export { type BatchDeps, cancelBatch, createBatch, getBatch, isCancelled,
  policyOf, listBatches } from './requests.ts';
export { type KeptPieces, type PieceRecord, readPieces, writePieces } from './results/pieces.ts';
export { type ResultRecord, resultRecord } from './results/record.ts';
export { type Item, PartWriter, readFinished, readShard } from './results/shard.ts';
export { BatchFact, FinalFact, readFact } from './state.ts';
export { sweep } from './sweep.ts';
export { viewBatch } from './view.ts';
