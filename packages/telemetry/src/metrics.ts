import { Counter, Gauge, Histogram } from 'prom-client';
import { registry } from './registry.ts';

/**
 * Every metric of the product. Names and labels are the reference that `docs/telemetry.md`, the dashboard and the alert rules
 * are checked against. No label has the name of a tenant, a batch or an item: their number has no bound, and who scrapes is not
 * to learn them.
 */

const registers = [registry];
const counter = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
  new Counter({ name, help, labelNames, registers });
const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
  new Gauge({ name, help, labelNames, registers });
const histogram = <L extends string>(name: string, help: string, buckets: number[], labelNames: readonly L[] = []) =>
  new Histogram({ name, help, labelNames, buckets, registers });

/** Seconds: of what should be quick, of what a model does, of what may wait for hours. */
const QUICK = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const LONG = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600];
const WAIT = [0.01, 0.1, 1, 5, 15, 60, 300, 900, 3_600, 10_800, 21_600, 43_200, 86_400];
const SPEED = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000];

export const metrics = {
  /** `outcome`: `answered`; `rejected`, its author must change something (4xx); `failed`, ours (5xx). */
  items: counter('batchmill_items_total', 'Items that have a result', ['task', 'lane', 'outcome']),
  itemSeconds: histogram('batchmill_item_seconds', 'From the turn of an item to its result', LONG, ['task']),
  pages: counter('batchmill_pages_total', 'Pages of documents done'),
  audioSeconds: counter('batchmill_audio_seconds_total', 'Seconds of recordings done'),

  queueWait: histogram('batchmill_queue_wait_seconds', 'From when a job was due to when a worker took it', WAIT, [
    'queue',
  ]),

  /** `kind`: `prompt`, of which `cached` were not computed again; `generated`, of which `reasoning`. */
  tokens: counter('batchmill_tokens_total', 'Tokens of engine calls', ['kind']),
  prefillSpeed: histogram('batchmill_prefill_tokens_per_second', 'Prompt tokens a second, of a call', SPEED),
  decodeSpeed: histogram('batchmill_decode_tokens_per_second', 'Generated tokens a second, of a call', SPEED),
  /** `engine`: `engine`, or `guard model`. `outcome`: `answered`, or the code of the engine's error. */
  engineCall: histogram('batchmill_engine_call_seconds', 'Engine calls, with their wait inside the engine', LONG, [
    'engine',
    'outcome',
  ]),
  engineRestarts: counter('batchmill_engine_restarts_total', 'Times an engine died and was started again', ['engine']),
  slots: gauge('batchmill_slots', 'Slots of the engine'),
  slotsBusy: gauge('batchmill_slots_busy', 'Slots at work'),
  callsWaiting: gauge('batchmill_calls_waiting', 'Engine calls that wait for a slot'),
  kvTokens: gauge('batchmill_kv_tokens', 'Tokens that the slots held at the end of their last answers'),
  kvCapacity: gauge('batchmill_kv_tokens_capacity', 'Tokens for which the slots have room'),

  /** `step`: `image`, `audio`, `document` (opening one), `page`, `recording` (decoding and cutting one), `fetch`. */
  mediaSeconds: histogram('batchmill_media_seconds', 'Preparing media for the model', LONG, ['step']),

  findings: counter('batchmill_findings_total', 'What content filters found in answers', [
    'filter',
    'category',
    'action',
  ]),
  filterSeconds: histogram('batchmill_filter_seconds', 'A look of a content filter at an answer', QUICK, ['filter']),
  filterFailures: counter('batchmill_filter_failures_total', 'Answers that a filter could not judge', ['filter']),

  /** `operation`: as in the bucket port. `outcome`: `ok` or `failed`. */
  bucketSeconds: histogram('batchmill_bucket_seconds', 'Operations on the bucket', QUICK, ['operation', 'outcome']),

  /** `what`: `item`; `suspect`, an item whose engine died; `shard`; `part`, results that could not be written. */
  retries: counter('batchmill_retries_total', 'What was tried again', ['what']),

  /** `outcome`: `taken` by the receiver, `refused` (a status that is no success), `unreachable`. */
  webhookAttempts: counter('batchmill_webhook_attempts_total', 'Attempts to deliver a webhook', ['outcome']),
  /** `outcome`: `delivered`, or `failed`: given up. */
  webhooks: counter('batchmill_webhooks_total', 'Webhooks delivered or given up', ['outcome']),

  batchesEnded: counter('batchmill_batches_ended_total', 'Batches that ended', ['status']),

  /** From the bucket, by the API: what the scaling signal says. `lane`: `text`, `media`, or `all` of it. */
  workItems: gauge('batchmill_work_items', 'Items that wait, or are being done', ['lane']),
  workTokens: gauge('batchmill_work_tokens', 'Estimated tokens that wait', ['lane']),
  workPages: gauge('batchmill_work_pages', 'Estimated pages of documents that wait', ['lane']),
  workAudioSeconds: gauge('batchmill_work_audio_seconds', 'Estimated seconds of recordings that wait', ['lane']),
  workSeconds: gauge('batchmill_work_seconds', 'Seconds that one worker would take for what waits', ['lane']),
  workDeadline: gauge('batchmill_work_deadline_seconds', 'Seconds to the earliest deadline of what waits', ['lane']),
  workersWanted: gauge('batchmill_workers_wanted', 'Infer workers needed to meet every deadline', ['lane']),
  workers: gauge('batchmill_workers', 'Infer workers that are connected to the queue', ['lane']),
  batchesOpen: gauge('batchmill_batches_open', 'Batches that have not ended'),

  httpSeconds: histogram('batchmill_http_request_seconds', 'HTTP requests, to the first byte of the answer', QUICK, [
    'method',
    'route',
    'status',
  ]),
};

/** How a histogram's time is taken: `const end = seconds(); …; end()` in seconds. */
export function seconds(): () => number {
  const start = performance.now();
  return () => (performance.now() - start) / 1000;
}

/** Does `work` and takes its time, however it ends. */
export async function timed<T>(observe: (seconds: number) => void, work: () => Promise<T>): Promise<T> {
  const end = seconds();
  try {
    return await work();
  } finally {
    observe(end());
  }
}
