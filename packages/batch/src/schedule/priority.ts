import { LOWEST_PRIORITY } from '@batchmill/queue';

/**
 * The order of shards in the queue (`docs/scheduling.md`):
 *
 *     priority = 1 + running / weight + position + place × batches
 *
 * `running` shards of the tenant are with workers now, on all machines; `weight` is 2 for a batch in the last quarter of its
 * window, else 1. `position` of the batch among the tenant's `batches` open ones: first those with the fewest running shards,
 * among these the earliest deadline. `place` of the shard among those of its batch and lane that nobody runs. So the tenant
 * with the fewest shards at work goes next, however many batches it has; among equals what was queued first.
 */
export interface Rank {
  running: number;
  urgent: boolean;
  position: number;
  batches: number;
  place: number;
}

export function priorityOf({ running, urgent, position, batches, place }: Rank): number {
  return Math.min(LOWEST_PRIORITY, 1 + Math.floor(running / (urgent ? 2 : 1)) + position + place * batches);
}

/** From then on a batch is urgent, in Unix seconds: the last quarter of its window. */
export function urgentFrom({ created_at, expires_at }: { created_at: number; expires_at: number }): number {
  return expires_at - (expires_at - created_at) / 4;
}

export interface OpenBatch {
  id: string;
  /** Unix seconds. */
  expiresAt: number;
  /** Its shards that workers have now. */
  running: number;
}

/** Where a batch stands among the open ones of its tenant. Total, so that no two batches have the same position. */
export function positionOf(batch: OpenBatch, others: Iterable<OpenBatch>): number {
  let before = 0;
  for (const other of others) if (other.id !== batch.id && goesBefore(other, batch)) before++;
  return before;
}

function goesBefore(a: OpenBatch, b: OpenBatch): boolean {
  if (a.running !== b.running) return a.running < b.running;
  if (a.expiresAt !== b.expiresAt) return a.expiresAt < b.expiresAt;
  return a.id < b.id;
}
