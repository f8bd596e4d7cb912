import { type Bucket, layout, parseHeld } from '@batchmill/bucket';
import { idTime } from '@batchmill/contract';
import type { Queues } from '@batchmill/queue';
import { clearRun, LATE_SECONDS } from './clear.ts';
import { finalize } from './finalize/finalize.ts';
import { PLAN_LIMITS, type PlanLimits, planBatch } from './plan/plan.ts';
import { heldKey } from './quota.ts';
import type { Schedule } from './schedule/schedule.ts';
import {
  BatchFact,
  CancelFact,
  FailedFact,
  FinalFact,
  FinalizingFact,
  listProgress,
  type Outcome,
  PlanFact,
  readFact,
} from './state.ts';

export interface ReconcileDeps {
  bucket: Bucket;
  queues: Pick<Queues, 'addShards' | 'removeShards' | 'runningShards' | 'triggerReconcile'>;
  /** Says which shards come next, and where in the queue. */
  schedule: Pick<Schedule, 'next'>;
  limits?: PlanLimits;
  /** How long a stopping batch waits for workers to hand in what they have finished. Default 30 s. */
  graceMs?: number;
  /** Called each time a batch is seen running, so that what its finished parts say can be told on. Runs again after a crash. */
  onRunning?: (batch: { tenant: string; id: string }) => Promise<void>;
  /** Called once a batch has ended, before it leaves the index of open batches: runs again after a crash. */
  onEnded?: (batch: { tenant: string; id: string; status: Outcome | 'failed' }) => Promise<void>;
}

/** What `reconcile` found or did, for logs and tests. */
export type Step = 'gone' | 'ended' | 'failed' | 'running' | 'stopping';

/**
 * Looks at what is in the bucket for one batch and does the next thing. This one function is normal progress, recovery
 * after any crash, expiry and cancellation: it is called whenever something may have changed, and by the sweep, and it
 * may be called at any time, by several processes, without harm.
 */
export async function reconcile(deps: ReconcileDeps, tenant: string, id: string): Promise<Step> {
  const { bucket } = deps;
  const at = layout.batch;
  const [batch, final, failedBefore] = await Promise.all([
    readFact(bucket, at.batch(tenant, id), BatchFact),
    readFact(bucket, at.final(tenant, id), FinalFact),
    readFact(bucket, at.failed(tenant, id), FailedFact),
  ]);
  if (batch === null) {
    // Being created at this moment, or given up half-way: its index entry comes first.
    if (Date.now() - (idTime(id) ?? 0) > GIVEN_UP_MS) await giveUp(bucket, tenant, id);
    return 'gone';
  }
  if (final !== null) return close(deps, batch, final.status, final.at);
  if (failedBefore !== null) return close(deps, batch, 'failed', failedBefore.failed_at);

  let plan = await readFact(bucket, at.plan(tenant, id), PlanFact);
  if (plan === null) {
    const result = await planBatch(bucket, batch, deps.limits ?? PLAN_LIMITS);
    if ('failed' in result) return close(deps, batch, 'failed', result.failed.failed_at);
    plan = result.plan;
  }

  const [cancel, finalizing, progress] = await Promise.all([
    readFact(bucket, at.cancel(tenant, id), CancelFact),
    readFact(bucket, at.finalizing(tenant, id), FinalizingFact),
    listProgress(bucket, tenant, id),
  ]);
  const open = plan.shards.filter((s) => !progress.get(s.shard)?.done);
  const end = async (outcome: Outcome) => {
    let fact: FinalFact | null;
    try {
      fact = await finalize(bucket, batch, plan, outcome);
    } catch (error) {
      // Another, who did not know of us, may have ended it and cleared away what this one was reading.
      fact = await readFact(bucket, at.final(tenant, id), FinalFact);
      if (fact === null) throw error;
    }
    return close(deps, batch, fact.status, fact.at);
  };
  if (finalizing !== null) return end(finalizing.outcome);
  if (open.length === 0) return end('completed');

  const stopAt = cancel?.cancelling_at ?? batch.expires_at;
  const stoppedFor = Date.now() - stopAt * 1000;
  if (cancel !== null || stoppedFor >= 0) {
    // What is not found there, because its worker died a moment ago, is refused by who takes it.
    await deps.queues.removeShards(
      open.slice(0, REMOVED).map(({ shard, lane }) => ({ tenant, batchId: id, shard, lane })),
    );
    const running = (await deps.queues.runningShards()).some((s) => s.batchId === id);
    // Workers see the same and hand in what they have finished; one that is lost is not waited for long.
    if (running && stoppedFor < (deps.graceMs ?? 30_000)) {
      await deps.queues.triggerReconcile({ tenant, batchId: id }, 500);
      return 'stopping';
    }
    return end(cancel === null ? 'expired' : 'cancelled');
  }

  await deps.queues.addShards(await deps.schedule.next(batch, open));
  await deps.onRunning?.({ tenant, id });
  return 'running';
}

/** Only the first open shards of a batch can be in the queue, and about as many as run side by side. */
const REMOVED = 128;

/** After this time a batch of which there is nothing but index entries will not be created any more. */
const GIVEN_UP_MS = 10 * 60_000;

async function giveUp(bucket: Bucket, tenant: string, id: string): Promise<void> {
  const entries = [layout.batch.open(tenant, id), layout.batch.index(tenant, id)];
  for await (const { key } of bucket.list(layout.batch.heldOfTenant(tenant)))
    if (parseHeld(key)?.id === id) entries.push(key);
  for (const key of entries) await bucket.delete(key);
  // Its creator was slow and has gone on meanwhile, or its clock is another: then the entries are wanted. If it goes on after
  // this look, it finds them missing (`createBatch`).
  if ((await bucket.head(layout.batch.batch(tenant, id))) === null) return;
  for (const key of entries) await bucket.put(key, '');
}

/**
 * Clears up after a batch that has ended: what only served to run it goes, what people may ask for stays. The index entry
 * goes last, so a crash on the way makes the sweep come back here.
 */
async function close(
  deps: ReconcileDeps,
  batch: BatchFact,
  status: Outcome | 'failed',
  endedAt: number,
): Promise<Step> {
  const { bucket } = deps;
  const { tenant, id } = batch;
  // First: whatever comes next, what it held of its key's quota is free.
  const held = heldKey(batch);
  if (held !== null) await bucket.delete(held);
  await deps.onEnded?.({ tenant, id, status });
  await clearRun(bucket, tenant, id);
  await bucket.put(layout.batch.ended(endedAt + LATE_SECONDS, tenant, id), '');
  await bucket.delete(layout.batch.open(tenant, id));
  return status === 'failed' ? 'failed' : 'ended';
}
