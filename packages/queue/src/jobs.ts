import { z } from 'zod';

/**
 * The queues and what their jobs carry. Jobs are pointers into the bucket, never data: the whole queue can be wiped
 * and is rebuilt from the bucket by the sweep.
 *
 * | queue | job | key | consumer |
 * |---|---|---|---|
 * | `reconcile` | look at one batch and do the next thing | deduplicated per batch, runs once more if triggered while active | control |
 * | `sweep` | trigger every open batch, delete what has expired | deduplicated, one per interval | control |
 * | `infer-text`, `infer-media` | one shard | job id `<batch>.<shard>` | infer |
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

/** One job per shard, however often it is queued. */
export function shardJobId(job: ShardJob): string {
  return `${job.batchId}.${job.shard}`;
}

/** One job per lane of deliveries, whoever asks for it. */
export function laneId(job: DeliverJob): string {
  return `${job.tenant}.${job.endpointId}.${job.lane}`;
}
