export { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded/embedded.ts';
export { QueueUnavailableError } from './errors.ts';
export {
  type DeliverJob,
  LANES,
  type Lane,
  LOWEST_PRIORITY,
  type PlacedShard,
  type QueuedShard,
  type ReconcileJob,
  type ShardJob,
  type ShardRef,
} from './jobs.ts';
export { openQueues } from './open.ts';
export type { ConsumeOptions, Consumer, Queues, ShardTaker } from './port.ts';
export { openRateLimit, type RateLimit } from './rate.ts';
