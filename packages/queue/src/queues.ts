import { Queue } from 'bullmq';
import { type Backend, type JobQueue, openBackend } from './backend.ts';
import { within } from './errors.ts';
import { DeliverJob, LANES, type Lane, laneId, queueNames, ReconcileJob, ShardJob, shardJobId } from './jobs.ts';

/** The queues as the product uses them. Everything behind it is BullMQ; nothing in front of it knows which backend. */
export interface Queues {
  readonly kind: Backend['kind'];

  /**
   * Asks for one look at a batch. Triggers of a batch that is waiting collapse into one; one that comes while the batch
   * is being looked at makes it be looked at once more, so that no change goes unseen.
   * @throws QueueUnavailableError after 2 s without an answer.
   */
  triggerReconcile(job: ReconcileJob, delayMs?: number): Promise<void>;

  /** Queues shards that are not queued or running already. A shard is known by batch and number. */
  addShards(jobs: ShardJob[]): Promise<void>;

  /** How many of these shards are queued or running now. */
  pendingShards(jobs: ShardJob[]): Promise<{ waiting: number; active: number }>;

  /** Takes shards that no worker has begun out of the queue; running ones stay. */
  removeShards(jobs: ShardJob[]): Promise<void>;

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
   * `lost` fires when the shard is not this worker's any more: another may run it by now. `onSettled` runs after the job has
   * left the queue, so that a reconcile it triggers finds the shard gone, or a second after the handler if it cannot.
   */
  consumeShards(
    lane: Lane,
    handler: (job: ShardJob, lost: AbortSignal) => Promise<void>,
    options: ConsumeOptions & { onSettled?: (job: ShardJob) => void },
  ): Consumer;

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

const TRIGGER_MS = 2_000;
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

  const inLanes = async (jobs: ShardJob[], work: (lane: Lane, jobs: ShardJob[]) => Promise<unknown>) => {
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
      inLanes(jobs, (lane, mine) =>
        infer[lane].addBulk(mine.map((data) => ({ name: 'shard', data, opts: { ...GONE, jobId: shardJobId(data) } }))),
      ),

    pendingShards: async (jobs) => {
      const count = { waiting: 0, active: 0 };
      await inLanes(jobs, (lane, mine) =>
        Promise.all(
          mine.map(async (job) => {
            const state = await (await infer[lane].getJob(shardJobId(job)))?.getState();
            if (state === 'active') count.active++;
            else if (state !== undefined && state !== 'unknown') count.waiting++;
          }),
        ),
      );
      return count;
    },

    removeShards: (jobs) =>
      // Removing an active job fails, which is what we want: its worker ends it.
      inLanes(jobs, (lane, mine) => Promise.all(mine.map((j) => infer[lane].remove(shardJobId(j)).catch(() => 0)))),

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

    consumeShards: (lane, handler, options) =>
      consume(
        backend,
        queueNames.infer(lane),
        (data, lost) => handler(ShardJob.parse(data), lost),
        options,
        (data) => options.onSettled?.(ShardJob.parse(data)),
      ),

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

/** What the queue's server may take to say goodbye. Nothing depends on it, and a process that is to end must. */
const GOODBYE_MS = 3_000;

async function patiently(closing: Promise<unknown>): Promise<void> {
  await within(GOODBYE_MS, closing, () => 'no goodbye').catch(() => {});
}

/** How long after its handler a job may take to leave the queue, before that is given up: its lock, or the queue, is gone. */
const LEAVE_MS = 1_000;

function consume(
  backend: Backend,
  name: string,
  handler: (data: unknown, lost: AbortSignal) => Promise<void>,
  options: ConsumeOptions,
  settled?: (data: unknown) => void,
): Consumer {
  const lockMs = options.lockMs ?? 30_000;
  let closed = false;
  const leaving = new Leaving(settled);
  const running = new Set<Promise<void>>();
  const worker = backend.worker(
    name,
    async (job, _token, signal) => {
      const handled = handler(job.data, signal ?? new AbortController().signal);
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
      // Often, so that a job that is not ours any more is noticed soon.
      lockRenewTime: lockMs / 4,
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
