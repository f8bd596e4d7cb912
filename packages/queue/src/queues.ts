import { Queue } from 'bullmq';
import type { Backend, JobQueue } from './backend.ts';
import { LEAVE_MS, patiently, within } from './errors.ts';
import {
  DeliverJob,
  LANES,
  type Lane,
  laneId,
  type PlacedShard,
  parseShardJobId,
  queueNames,
  ReconcileJob,
  ShardJob,
  shardJobId,
} from './jobs.ts';
import type { ConsumeOptions, Consumer, Queues } from './port.ts';
import { Taker } from './taker.ts';

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

/** The queues on BullMQ, over one of its backends. */
export function queuesOn(backend: Backend): Queues {
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
