import { z } from 'zod';

/**
 * The queues and what their jobs carry. Jobs are pointers into the bucket, never data: the whole queue can be wiped
 * and is rebuilt from the bucket by the sweep.
 *
 * | queue | job | key | consumer |
 * |---|---|---|---|
 * | `reconcile` | look at one batch and do the next thing | deduplicated per batch, runs once more if triggered while active | control |
 * | `sweep` | trigger every open batch, delete what has expired | deduplicated, one per interval | control |
 * | `infer-text`, `infer-media` | one shard | job id `<tenant>.<batch>.<shard>`, with a priority | infer |
 * | `deliver` | send what is due of one lane (a batch to an endpoint) | deduplicated per lane, runs once more if triggered while active | control |
 */
export const LANES = ['text', 'media'] as const;
export type Lane = (typeof LANES)[number];

export const ReconcileJob = z.object({ tenant: z.string(), batchId: z.string() });
export type ReconcileJob = z.infer<typeof ReconcileJob>;

export const ShardJob = z.object({
  tenant: z.string(),
  batchId: z.string(),
  shard: z.number().int().min(0),
  lane: z.enum(LANES),
  /** How many items it has, so that who takes it knows before it is read. Jobs of earlier versions do not say. */
  items: z.number().int().default(0),
});
export type ShardJob = z.infer<typeof ShardJob>;

export const DeliverJob = z.object({ tenant: z.string(), endpointId: z.string(), lane: z.string() });
export type DeliverJob = z.infer<typeof DeliverJob>;

export const queueNames = {
  reconcile: 'batchmill-reconcile',
  sweep: 'batchmill-sweep',
  deliver: 'batchmill-deliver',
  infer: (lane: Lane) => `batchmill-infer-${lane}` as const,
} as const;

/** Which shard. */
export type ShardRef = Pick<ShardJob, 'tenant' | 'batchId' | 'shard'>;

/** Which shard, and in which queue it is. */
export type QueuedShard = Omit<ShardJob, 'items'>;

/** A shard and its place in the queue. */
export interface PlacedShard extends ShardJob {
  /** 1 to `LOWEST_PRIORITY`; the lowest number is taken first, among equals what was placed first. */
  priority: number;
}

/** The last of BullMQ's priorities. */
export const LOWEST_PRIORITY = 2 ** 21 - 1;

/** One job per shard, however often it is queued. It says whose it is, so that lists of ids need no look at the jobs. */
export function shardJobId(job: ShardRef): string {
  return `${job.tenant}.${job.batchId}.${job.shard}`;
}

/** Inverse of `shardJobId`; `null` of an id that is none. */
export function parseShardJobId(id: string): ShardRef | null {
  const m = /^(.+)\.([^.]+)\.(\d+)$/.exec(id);
  return m === null ? null : { tenant: m[1] ?? '', batchId: m[2] ?? '', shard: Number(m[3]) };
}

/** One job per lane of deliveries, whoever asks for it. */
export function laneId(job: DeliverJob): string {
  return `${job.tenant}.${job.endpointId}.${job.lane}`;
}
