import { randomBytes } from 'node:crypto';
import { judgedBy, PartWriter, readFinished, readPieces, readShard } from '@batchmill/batch';
import { type Bucket, ObjectMissingError } from '@batchmill/bucket';
import type { ShardJob } from '@batchmill/queue';
import { seconds, span, untraced } from '@batchmill/telemetry';
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
 * results go into parts of this run's own. When it returns, every result it made is in the bucket.
 */
export async function runShard(deps: ShardDeps, job: ShardJob, stop: StopSignals): Promise<void> {
  const { bucket } = deps;
  const { tenant, batchId, shard } = job;
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
  const taken = seconds();
  const todo = items.filter((item) => !finished.positions.has(item.position));
  const { policy, key } = await judgedBy(bucket, tenant, batchId);
  const safety = await deps.judges.of(policy);
  const at = { tenant, id: batchId, shard, writer: randomBytes(6).toString('hex') };
  const kept = await readPieces(bucket, at, finished.positions);
  const pieces = new Pieces(bucket, at, kept, deps.partIntervalMs, deps.log);
  const parts = new Parts(new PartWriter(bucket, at), deps.partIntervalMs, deps.log);
  const stopped = deps.stops.watch(tenant, batchId);
  // What broke one item (the audit log cannot be written) breaks the others: no more of them, but those that run are kept.
  const broken = new AbortController();
  const admit = AbortSignal.any([stopped.signal, stop.admit, broken.signal]);
  const scope: ItemScope = {
    tenant,
    batchId,
    lane: job.lane,
    models: deps.models,
    safety,
    key,
    ...deps.reads(tenant),
    signal: AbortSignal.any([stopped.signal, stop.run]),
  };

  // Items in pieces take a turn with each piece, since one that takes hours must not hold the turn of another. So many are
  // open that they keep the engine busy if each has one piece only.
  const open = new Turns(deps.pieceTurns.limit);
  let traced = 0;
  const runOne = async (item: (typeof todo)[number]): Promise<boolean> => {
    let done: () => void;
    try {
      const turns = deps.tasks.get(item.url)?.inPieces === true ? open : deps.turns;
      done = await turns.take(batchId, admit);
    } catch {
      return false;
    }
    try {
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
    }
  };
  let complete = false;
  try {
    const answered = await Promise.allSettled(todo.map(runOne));
    complete = answered.every((one) => one.status === 'fulfilled' && one.value);
    broken.signal.throwIfAborted();
  } finally {
    stopped.release();
    await pieces.end();
    await parts.end(complete);
    const ms = Math.round(taken() * 1000);
    deps.log.info({ batch: batchId, shard, lane: job.lane, items: todo.length, complete, ms }, 'shard done');
  }
}
