import { randomBytes } from 'node:crypto';
import { type BatchFact, PartWriter, readFinished, readPieces, readShard } from '@batchmill/batch';
import { type Bucket, ObjectMissingError } from '@batchmill/bucket';
import type { QueuedShard } from '@batchmill/queue';
import { seconds, span, untraced } from '@batchmill/telemetry';
import type { Taken } from './backlog.ts';
import { claimOf } from './fair-order.ts';
import type { Judges } from './judges.ts';
import { Parts } from './parts.ts';
import { Pieces } from './pieces.ts';
import { type ItemDeps, ItemInterrupted, type ItemScope, runItem } from './run-item.ts';
import type { Stops } from './stops.ts';
import { Turns } from './turns.ts';

/** Items of a shard whose spans are kept: the trace of a batch of a million items would be more than anybody can look at. */
const TRACED_ITEMS = 20;

export interface ShardDeps extends ItemDeps {
  bucket: Bucket;
  turns: Turns;
  stops: Stops;
  judges: Judges;
  partIntervalMs: number;
  /** What items may read, by tenant. */
  reads(tenant: string): Pick<ItemScope, 'openFile' | 'openObject'>;
  models: readonly string[];
  /** Called for each item that has its result. */
  onItem?: () => void;
}

/** When this worker stops: first no further items, later the running ones too. */
export interface StopSignals {
  admit: AbortSignal;
  run: AbortSignal;
}

/**
 * Runs what is left of one shard. Safe to run again, and to run twice at once: items that have results are not run, and
 * results go into parts of this run's own. When it returns, every result it made is in the bucket. Nothing is begun of a
 * batch that is cancelled or has expired.
 *
 * @param taken is told how many of its items are still to begin.
 */
export async function runShard(deps: ShardDeps, job: QueuedShard, stop: StopSignals, taken?: Taken): Promise<void> {
  const stopped = deps.stops.watch(job.tenant, job.batchId);
  try {
    const batch = await stopped.batch;
    if (batch !== null && !stopped.signal.aborted) await runOpen(deps, job, batch, stopped.signal, stop, taken);
  } finally {
    stopped.release();
  }
}

async function runOpen(
  deps: ShardDeps,
  { tenant, batchId, shard, lane }: QueuedShard,
  batch: BatchFact,
  stopped: AbortSignal,
  stop: StopSignals,
  taken?: Taken,
): Promise<void> {
  const { bucket } = deps;
  const finished = await readFinished(bucket, tenant, batchId, shard);
  if (finished.done) return;
  let items: Awaited<ReturnType<typeof readShard>>;
  try {
    items = await readShard(bucket, tenant, batchId, shard);
  } catch (error) {
    // The batch has ended and was cleared up: a job that outlived it has nothing to do.
    if (error instanceof ObjectMissingError) return;
    throw error;
  }
  const since = seconds();
  const todo = items.filter((item) => !finished.positions.has(item.position));
  taken?.skip(items.length - todo.length);
  const safety = await deps.judges.of(batch.policy);
  const at = { tenant, id: batchId, shard, writer: randomBytes(6).toString('hex') };
  const kept = await readPieces(bucket, at, finished.positions);
  const pieces = new Pieces(bucket, at, kept, deps.partIntervalMs, deps.log);
  const parts = new Parts(new PartWriter(bucket, at), deps.partIntervalMs, deps.log);
  // What broke one item (the audit log cannot be written) breaks the others: no more of them, but those that run are kept.
  const broken = new AbortController();
  const admit = AbortSignal.any([stopped, stop.admit, broken.signal]);
  const claim = claimOf(batch);
  const scope: ItemScope = {
    tenant,
    batchId,
    lane,
    claim,
    models: deps.models,
    safety,
    key: batch.key,
    ...deps.reads(tenant),
    signal: AbortSignal.any([stopped, stop.run]),
  };

  // Items in pieces take a turn with each piece, since one that takes hours must not hold the turn of another. So many are
  // open that they keep the engine busy if each has one piece only.
  const open = new Turns(deps.pieceTurns.limit);
  let traced = 0;
  const runOne = async (item: (typeof todo)[number]): Promise<boolean> => {
    const inPieces = deps.tasks.get(item.url)?.inPieces === true;
    let done: () => void;
    try {
      done = await (inPieces ? open : deps.turns).take(claim, admit);
    } catch {
      return false;
    }
    try {
      if (!inPieces) taken?.began();
      // A timer may be late; late work is not begun.
      if (Date.now() >= batch.expires_at * 1000) return false;
      const own = pieces.of(item.position);
      const run = () => runItem(deps, scope, item, own);
      const attributes = { 'batchmill.item': item.position, 'batchmill.task': item.url };
      const record = await (traced++ < TRACED_ITEMS ? span('item', attributes, run) : untraced(run));
      parts.add(record, own.end());
      deps.onItem?.();
      return true;
    } catch (error) {
      if (error instanceof ItemInterrupted) return false;
      broken.abort(error);
      throw error;
    } finally {
      done();
      if (inPieces) taken?.began();
    }
  };
  let complete = false;
  try {
    const answered = await Promise.allSettled(todo.map(runOne));
    complete = answered.every((one) => one.status === 'fulfilled' && one.value);
    broken.signal.throwIfAborted();
  } finally {
    await pieces.end();
    await parts.end(complete);
    const ms = Math.round(since() * 1000);
    deps.log.info({ batch: batchId, shard, lane, items: todo.length, complete, ms }, 'shard done');
  }
}
