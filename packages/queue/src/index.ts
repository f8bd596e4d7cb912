export { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded/embedded.ts';
export { QueueUnavailableError } from './errors.ts';
export { type DeliverJob, LANES, type Lane, type ReconcileJob, type ShardJob } from './jobs.ts';
export { type ConsumeOptions, type Consumer, openQueues, type Queues } from './queues.ts';
export { openRateLimit, type RateLimit } from './rate.ts';
