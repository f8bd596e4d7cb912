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
export { type ConsumeOptions, type Consumer, openQueues, type Queues, type ShardTaker } from './queues.ts';
export { openRateLimit, type RateLimit } from './rate.ts';
