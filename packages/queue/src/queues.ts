import { Queue } from 'bullmq';
import { type Backend, type JobQueue, openBackend } from './backend.ts';
import { LEAVE_MS, patiently, within } from './errors.ts';
import {
  DeliverJob,
  LANES,
  type Lane,
  laneId,
  type PlacedShard,
  parseShardJobId,
  type QueuedShard,
  queueNames,
  ReconcileJob,
  ShardJob,
  type ShardRef,
  shardJobId,
} from './jobs.ts';
import { Taker } from './taker.ts';

/** The queues as the product uses them. Everything behind it is BullMQ; nothing in front of it knows which backend. */
export interface Queues {
  readonly kind: Backend['kind'];

  /**
   * Asks for one look at a batch. Triggers of a batch that is waiting collapse into one; one that comes while the batch
   * is being looked at makes it be looked at once more, so that no change goes unseen.
   * @throws QueueUnavailableError after 2 s without an answer.
   */
  triggerReconcile(job: ReconcileJob, delayMs?: number): Promise<void>;

  /**
   * Queues shards that are not queued or running already, and moves those that wait elsewhere to their new place. A shard is
   * known by tenant, batch and number.
   */
  addShards(jobs: PlacedShard[]): Promise<void>;

  /** The shards that workers run now, of both lanes. */
  runningShards(): Promise<ShardRef[]>;

  /** The shard that is taken next; `null` if none waits. */
  nextShard(lane: Lane): Promise<ShardRef | null>;

  /** Takes shards that no worker has begun out of the queue; running ones stay. */
  removeShards(shards: QueuedShard[]): Promise<void>;

  /** Shards waiting per lane, for `/readyz`, metrics and scaling. */
  waiting(): Promise<Record<Lane, number>>;

  /** Infer workers connected, per lane. Some managed servers do not say who is connected; then it throws. */
  workers(): Promise<Record<Lane, number>>;

  /**
   * Asks for a sweep, at most one in `everyMs` however many control workers ask. Every one of them asks by its own timer,
   * and not by a job scheduler: that would live in the queue, and be gone with a queue that is wiped.
   * @throws QueueUnavailableError after 2 s without an answer.
   */
  triggerSweep(everyMs: number): Promise<void>;

  /**
   * Asks for one look at what is due of a lane. A lane has one job: a trigger while it waits changes nothing, one while it
   * runs makes it run once more, and one while it is delayed waits with it.
   * @throws QueueUnavailableError after 2 s without an answer.
   */
  triggerDeliver(job: DeliverJob): Promise<void>;

  consumeReconcile(handler: (job: ReconcileJob) => Promise<void>, options: ConsumeOptions): Consumer;
  consumeSweep(handler: () => Promise<void>, options?: Omit<ConsumeOptions, 'concurrency'>): Consumer;
  /**
   * Shards of a lane, each when it is asked for. `lost` fires when the shard is not this worker's any more: another may run it
   * by now. `onSettled` runs after the job has left the queue, so that a reconcile it triggers finds the shard gone, or a
   * second after the handler if it cannot.
   */
  takeShards(
    lane: Lane,
    handler: (job: ShardJob, lost: AbortSignal) => Promise<void>,
    options: Omit<ConsumeOptions, 'concurrency'> & { onSettled?: (job: ShardJob) => void },
  ): ShardTaker;

  /** The handler says in how many milliseconds the lane must be looked at again; `null`: not until somebody asks. */
  consumeDeliver(handler: (job: DeliverJob) => Promise<number | null>, options: ConsumeOptions): Consumer;

  /** BullMQ's own queues, for viewers of them. What is done to them past this port is at the viewer's risk. */
  bull(): readonly Queue[];

  /** Throws with a message in plain words if the queue's server does not answer. */
  check(): Promise<void>;

  /** Forgets every job: for tests and `batchmill queue wipe`. Nothing is lost, the sweep rebuilds it. */
  wipe(): Promise<void>;

  close(): Promise<void>;
}

export interface ConsumeOptions {
  concurrency: number;
  /** After this time without a sign of life a worker counts as dead and its jobs go to another. Default 30 s. */
  lockMs?: number;
  onError?: (error: Error) => void;
}

export interface Consumer {
  /** Takes no further jobs; resolves when the running ones have returned, even if the queue's server does not answer. */
  close(): Promise<void>;
}

export interface ShardTaker extends Consumer {
  /** Takes the first shard if one waits, and runs it; resolves as soon as it is taken. */
  take(): Promise<boolean>;
  /** The same, but waits half a second for one to come. */
  takeNext(): Promise<boolean>;
}

const TRIGGER_MS = 2_000;
const LOCK_MS = 30_000;
const GONE = { removeOnComplete: true, removeOnFail: true } as const;

/**
 * Without its server BullMQ waits for ever. A trigger that is late or lost does no harm, since the sweep comes round; a caller
 * that hangs does.
 */
async function bounded(added: Promise<unknown>): Promise<void> {
  added.catch(() => {});
  await within(TRIGGER_MS, added, () => `the queue did not answer within ${TRIGGER_MS / 1000} s`);
}

/** Opens the queues at `redis://`, `rediss://` or `postgres://`. */
export async function openQueues(url: string): Promise<Queues> {
  const backend = await openBackend(url);
  const reconcile = backend.queue(queueNames.reconcile);
  const sweep = backend.queue(queueNames.sweep);
  const deliver = backend.queue(queueNames.deliver);
  const infer: Record<Lane, JobQueue> = {
    text: backend.queue(queueNames.infer('text')),
    media: backend.queue(queueNames.infer('media')),
  };
  const queues = [reconcile, sweep, deliver, infer.text, infer.media];

  const inLanes = async <J extends { lane: Lane }>(jobs: J[], work: (lane: Lane, jobs: J[]) => Promise<unknown>) => {
    await Promise.all(
      LANES.map((lane) => {
        const mine = jobs.filter((j) => j.lane === lane);
        return mine.length === 0 ? undefined : work(lane, mine);
      }),
    );
  };

  const addDeliver = (job: DeliverJob, delayMs: number) => {
    const deduplication = { id: laneId(job), keepLastIfActive: true };
    return bounded(deliver.add('deliver', job, { ...GONE, ...(delayMs > 0 ? { delay: delayMs } : {}), deduplication }));
  };

  return {
    kind: backend.kind,

    triggerReconcile: async (job, delayMs = 0) => {
      const options = {
        ...GONE,
        ...(delayMs > 0 ? { delay: delayMs } : {}),
        // A delayed look has a deduplication of its own: it must not swallow a trigger that is due now.
        deduplication: { id: delayMs > 0 ? `${job.batchId}.later` : job.batchId, keepLastIfActive: true },
      };
      await bounded(reconcile.add('reconcile', job, options));
    },

    addShards: (jobs) =>
      inLanes(jobs, async (lane, mine) => {
        const queued = await Promise.all(mine.map((job) => infer[lane].getJob(shardJobId(job))));
        const fresh = mine.filter((_, i) => queued[i] === undefined);
        await Promise.all([
          ...(fresh.length === 0 ? [] : [infer[lane].addBulk(fresh.map(placed))]),
          ...queued.map(async (job, i) => {
            const priority = mine[i]?.priority;
            // One that a worker takes at this moment stays where it is.
            if (job !== undefined && priority !== undefined && job.priority !== priority)
              await job.changePriority({ priority }).catch(() => {});
          }),
        ]);
      }),
    runningShards: async () => {
      const ids = await Promise.all(LANES.map((lane) => infer[lane].getRanges(['active'], 0, -1)));
      return ids
        .flat()
        .map(parseShardJobId)
        .filter((shard) => shard !== null);
    },
    nextShard: async (lane) => {
      // What goes back to the queue because its worker died has no priority there, and is taken before all others.
      const [id] = await infer[lane].getRanges(['waiting', 'prioritized'], 0, 0, true);
      return id === undefined ? null : parseShardJobId(id);
    },

    removeShards: (shards) =>
      // Removing an active job fails, which is what we want: its worker ends it.
      inLanes(shards, (lane, mine) => Promise.all(mine.map((j) => infer[lane].remove(shardJobId(j)).catch(() => 0)))),

    waiting: async () => {
      const count = async (lane: Lane) => {
        const counts = await infer[lane].getJobCounts('waiting', 'delayed', 'prioritized');
        return Object.values(counts).reduce((a, b) => a + b, 0);
      };
      return { text: await count('text'), media: await count('media') };
    },

    workers: async () => {
      const [text, media] = await Promise.all([infer.text.getWorkersCount(), infer.media.getWorkersCount()]);
      return { text, media };
    },

    triggerSweep: (everyMs) => {
      // A little less than the interval: timers are not exact, and a round left out would make it twice as long.
      const deduplication = { id: 'sweep', ttl: Math.ceil(everyMs * 0.8) };
      return bounded(sweep.add('sweep', {}, { ...GONE, deduplication }));
    },

    triggerDeliver: (job) => addDeliver(job, 0),

    consumeReconcile: (handler, options) =>
      consume(backend, queueNames.reconcile, (data) => handler(ReconcileJob.parse(data)), options),

    consumeSweep: (handler, options = {}) =>
      consume(backend, queueNames.sweep, () => handler(), { ...options, concurrency: 1 }),

    takeShards: (lane, handler, options) =>
      new Taker(backend, queueNames.infer(lane), (data, lost) => handler(ShardJob.parse(data), lost), {
        lockMs: options.lockMs ?? LOCK_MS,
        onError: (error) => options.onError?.(error),
        onSettled: (data) => options.onSettled?.(ShardJob.parse(data)),
      }),

    consumeDeliver: (handler, options) => {
      const again = new Map<string, number>();
      return consume(
        backend,
        queueNames.deliver,
        async (data) => {
          const job = DeliverJob.parse(data);
          const delayMs = await handler(job);
          if (delayMs !== null) again.set(laneId(job), delayMs);
        },
        options,
        (data) => {
          // Only now, out of the queue, does a lane's job no longer stand in the way of its next one.
          const job = DeliverJob.parse(data);
          const delayMs = again.get(laneId(job));
          again.delete(laneId(job));
          if (delayMs === undefined) return;
          addDeliver(job, delayMs).catch((error: Error) => options.onError?.(error));
        },
      );
    },

    bull: () => queues.filter((queue) => queue instanceof Queue),

    check: () => backend.check(),

    wipe: async () => {
      for (const queue of queues) await queue.obliterate({ force: true });
    },

    close: async () => {
      await patiently(Promise.all(queues.map((queue) => queue.close())));
      await patiently(backend.close());
    },
  };
}

function placed({ priority, ...data }: PlacedShard) {
  return { name: 'shard', data, opts: { ...GONE, jobId: shardJobId(data), priority } };
}

function consume(
  backend: Backend,
  name: string,
  handler: (data: unknown) => Promise<void>,
  options: ConsumeOptions,
  settled?: (data: unknown) => void,
): Consumer {
  const lockMs = options.lockMs ?? LOCK_MS;
  let closed = false;
  const leaving = new Leaving(settled);
  const running = new Set<Promise<void>>();
  const worker = backend.worker(
    name,
    async (job) => {
      const handled = handler(job.data);
      running.add(handled);
      try {
        await handled;
      } finally {
        running.delete(handled);
        leaving.expect(job);
      }
    },
    {
      concurrency: options.concurrency,
      lockDuration: lockMs,
      stalledInterval: lockMs,
      // BullMQ would stay away for 15 s after its server has broken a connection, also if that is back at once.
      runRetryDelay: 1_000,
      // A job whose worker died goes back as often as it takes: what may not be repeated is decided per item, not here.
      maxStalledCount: 1_000,
    },
    {
      // Connections that break after the end are nobody's business: the embedded server is stopped right behind us.
      error: (error) => {
        if (!closed) options.onError?.(error);
      },
      settled: (job) => leaving.left(job),
    },
  );
  return {
    close: async () => {
      // Without its server this would wait for ever.
      const closing = worker.close();
      closing.catch(() => {});
      await Promise.allSettled(running);
      await patiently(closing);
      leaving.end();
      closed = true;
    },
  };
}

/** Jobs whose handlers have returned. BullMQ says nothing of one that cannot leave the queue since it is not there any more. */
class Leaving {
  readonly #settled: ((data: unknown) => void) | undefined;
  readonly #jobs = new Map<object, { data: object; timer: NodeJS.Timeout }>();

  constructor(settled: ((data: unknown) => void) | undefined) {
    this.#settled = settled;
  }

  expect(job: { data: object }): void {
    this.#jobs.set(job, { data: job.data, timer: setTimeout(() => this.left(job), LEAVE_MS) });
  }

  left(job: object): void {
    const leaving = this.#jobs.get(job);
    if (leaving === undefined) return;
    clearTimeout(leaving.timer);
    this.#jobs.delete(job);
    this.#settled?.(leaving.data);
  }

  end(): void {
    for (const job of [...this.#jobs.keys()]) this.left(job);
  }
}
