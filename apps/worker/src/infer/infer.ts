import { type Bucket, ObjectMissingError } from '@batchmill/bucket';
import type { Engine } from '@batchmill/engine';
import { getFile, readFile } from '@batchmill/files';
import { LANES, type Lane, type Queues } from '@batchmill/queue';
import type { Policy } from '@batchmill/safety';
import type { Source, Task } from '@batchmill/tasks';
import { annotate, type Logger, metrics, readAtScrape } from '@batchmill/telemetry';
import { Activity } from './activity.ts';
import { Backlog } from './backlog.ts';
import { EngineHost } from './engine-host.ts';
import { Holds } from './holds.ts';
import { type BatchSafety, Judges } from './judges.ts';
import type { Audit } from './run-item.ts';
import { runShard } from './run-shard.ts';
import { Slots } from './slots.ts';
import { Speedometer } from './speedometer.ts';
import { Stops } from './stops.ts';
import { keepTaking } from './taking.ts';
import { Turns } from './turns.ts';

export interface InferOptions {
  bucket: Bucket;
  queues: Queues;
  /** The lanes it takes shards of. Default: all. */
  lanes?: readonly Lane[];
  /** Starts the engine process; called again when it dies. */
  startEngine: () => Promise<Engine>;
  /** Called when the first item of this worker has its result. */
  onFirstItem?: () => void;
  tasks: ReadonlyMap<string, Task>;
  /** The filters of a policy. */
  safetyOf: (policy: Policy) => Promise<Pick<BatchSafety, 'filters' | 'selfJudge'>>;
  audit: Audit;
  /** Opens an `s3://` object for a tenant, inside its allow-list. */
  openObject: (tenant: string, url: string) => Promise<Source>;
  log: Logger;
  itemTimeoutMs: number;
  partIntervalMs: number;
  stopGraceMs: number;
  lockMs: number;
}

/** Calls that wait inside the engine for a slot. */
const WAITING = 2;

/** A shard that takes longer makes room for the next one in the queue before it is done. */
const REFILL_MS = 50;

export interface InferWorker {
  readonly engine: EngineHost;
  /** Calls at the engine (at most `WAITING` more than its slots) and calls waiting for a place there. */
  load(): { busy: number; waiting: number; slots: number };
  /** For how long it has had no shard. Milliseconds, 0 while it has one; counted from when it was ready. */
  idleMs(): number;
  /**
   * Takes no further items, lets the running ones finish for `stopGraceMs`, writes what is finished, ends the engine.
   * What is left goes back to the queue by itself.
   */
  close(): Promise<void>;
}

/**
 * The infer role: takes shards of its lanes and runs their items through one engine. The engine is up before the first
 * shard is taken, so a worker that cannot serve takes no work.
 */
export async function startInfer(options: InferOptions): Promise<InferWorker> {
  const { bucket, queues, log } = options;
  const engine = await EngineHost.open(options.startEngine, log);
  const { slots: size, model } = engine.capabilities;
  // A few more calls than slots: those wait inside the engine, which refills a slot the moment it falls free.
  const slots = new Slots(size + WAITING);
  // Enough items in preparation that there is always one to wait there.
  const turns = new Turns(2 * (size + WAITING));
  const pieceTurns = new Turns(2 * (size + WAITING));
  const admit = new AbortController();
  const run = new AbortController();
  const deps = {
    bucket,
    engine,
    slots,
    turns,
    pieceTurns,
    stops: new Stops(bucket),
    tasks: options.tasks,
    judges: new Judges(bucket, options.safetyOf),
    audit: options.audit,
    speedometer: new Speedometer(bucket, engine.capabilities, log),
    itemTimeoutMs: options.itemTimeoutMs,
    partIntervalMs: options.partIntervalMs,
    models: [model],
    onItem: once(options.onFirstItem),
    log,
    reads: (tenant: string) => ({
      openFile: (id: string) => openFile(bucket, tenant, id),
      openObject: (url: string) => options.openObject(tenant, url),
    }),
  };
  const triggers = new Set<Promise<void>>();
  const trigger = (tenant: string, batchId: string, delayMs?: number) => {
    const asked = queues
      .triggerReconcile({ tenant, batchId }, delayMs)
      .catch((error: unknown) => {
        log.warn({ err: error, batch: batchId }, 'reconcile could not be triggered; the sweep will');
      })
      .finally(() => triggers.delete(asked));
    triggers.add(asked);
  };

  const holds = new Holds({ admit: admit.signal, run: run.signal }, options.stopGraceMs);
  const activity = new Activity();
  const backlog = new Backlog(turns.limit);
  const takers = (options.lanes ?? LANES).map((lane) => {
    const failed = new Set<string>();
    const key = (job: { batchId: string; shard: number }) => `${job.batchId}.${job.shard}`;
    const taker = queues.takeShards(
      lane,
      async (job, lost) => {
        const rest = activity.begin();
        const taken = backlog.take(job);
        // One less waits: the next ones are queued before this one is done. A short one is done before that matters.
        const refill = setTimeout(() => trigger(job.tenant, job.batchId), REFILL_MS);
        try {
          annotate({ 'batchmill.batch': job.batchId, 'batchmill.shard': job.shard, 'batchmill.lane': lane });
          await holds.run(key(job), lost, (stop) => runShard(deps, job, stop, taken));
        } catch (error) {
          failed.add(key(job));
          metrics.retries.inc({ what: 'shard' });
          log.error({ err: error, batch: job.batchId, shard: job.shard }, 'a shard failed; it will be queued again');
          throw error;
        } finally {
          rest();
          clearTimeout(refill);
          taken.end();
        }
      },
      {
        lockMs: options.lockMs,
        onError: (error) => log.warn({ err: error, lane }, 'queue'),
        onSettled: (job) => {
          // A shard that failed comes back after a pause: what broke it, a bucket that is away, may need a while.
          trigger(job.tenant, job.batchId, failed.delete(key(job)) ? 2_000 : undefined);
        },
      },
    );
    const taking = keepTaking(lane, taker, queues, backlog, admit.signal);
    return {
      close: async () => {
        await taker.close();
        await taking;
      },
    };
  });
  const unread = readAtScrape(() => {
    const { tokens, capacity } = engine.cache();
    metrics.slots.set(size);
    metrics.slotsBusy.set(Math.min(slots.busy, size));
    metrics.callsWaiting.set(slots.waiting + Math.max(0, slots.busy - size));
    metrics.kvTokens.set(tokens);
    metrics.kvCapacity.set(capacity);
  });
  log.info(
    { engine: engine.capabilities.engine, model, slots: size, lanes: options.lanes ?? LANES },
    'ready for items',
  );

  return {
    engine,
    load: () => ({ busy: slots.busy, waiting: slots.waiting, slots: size }),
    idleMs: () => activity.idleMs(),
    close: async () => {
      admit.abort(new Error('the worker is stopping'));
      const grace = setTimeout(() => run.abort(new Error('the worker is stopping')), options.stopGraceMs);
      await Promise.all(takers.map((t) => t.close()));
      clearTimeout(grace);
      // So that others take what this worker leaves at once, and not after the next sweep.
      await Promise.all(triggers);
      await deps.speedometer.end();
      unread();
      await engine.close();
    },
  };
}

/** Calls `work` the first time it is called. */
function once(work: (() => void) | undefined): () => void {
  let wanted = work;
  return () => {
    wanted?.();
    wanted = undefined;
  };
}

async function openFile(bucket: Bucket, tenant: string, id: string): Promise<Source | null> {
  const file = await getFile(bucket, tenant, id);
  if (file === null) return null;
  return {
    bytes: file.bytes,
    read: async () => {
      const stream = await readFile(bucket, tenant, id);
      if (stream === null) throw new ObjectMissingError(`the file ${id} was deleted`);
      return stream;
    },
  };
}
