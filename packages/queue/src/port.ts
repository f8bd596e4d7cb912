import type { Queue } from 'bullmq';
import type { DeliverJob, Lane, PlacedShard, QueuedShard, ReconcileJob, ShardJob, ShardRef } from './jobs.ts';

/** The queues as the product uses them. Everything behind it is BullMQ; nothing in front of it knows which backend. */
export interface Queues {
  readonly kind: 'redis' | 'postgres';

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
