import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createKey } from '@batchmill/keys';
import parse, { type Family } from 'parse-prometheus-text-format';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBucket } from '../../packages/bucket/src/index.ts';
import { chat, image, jsonl, text } from '../e2e/items.ts';
import { clientOf, ended, submit } from '../e2e/suite.ts';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { type Stack, startStack } from '../servers/stack.ts';
import { type CollectedSpan, startCollector } from './collector.ts';

let folder: string;
let redis: RedisServer;
let stack: Stack;
let collector: Awaited<ReturnType<typeof startCollector>>;
let operatorKey: string;
let tenantKey: string;
const scraped = new Map<string, Map<string, Family>>();

const get = (url: string, key?: string) =>
  fetch(url, key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } });

async function scrape(url: string, key?: string): Promise<Map<string, Family>> {
  const response = await get(url, key);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  // Once as it is. Of histograms the parser keeps one series of many, so their values are read as plain samples.
  const typed = parse(text);
  expect(typed.filter(({ type }) => type === 'HISTOGRAM').length).toBeGreaterThan(0);
  const samples = parse(text.replaceAll(/^# TYPE \S+ histogram$/gm, ''));
  const families = new Map<string, Family>();
  for (const family of samples) {
    const known = families.get(family.name);
    if (known === undefined) families.set(family.name, family);
    else known.metrics.push(...family.metrics);
  }
  return families;
}

/** Sum over the samples whose labels are those, of a counter or gauge. */
function sum(families: Map<string, Family> | undefined, name: string, labels: Record<string, string> = {}): number {
  const samples = families?.get(name)?.metrics ?? [];
  return samples
    .filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels?.[label] === value))
    .reduce((total, sample) => total + Number(sample.value), 0);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-telemetry-'));
  redis = await startRedis();
  collector = await startCollector();
  const bucketUrl = pathToFileURL(join(folder, 'bucket')).href;
  const bucket = await openBucket(bucketUrl);
  operatorKey = (await createKey(bucket, { tenant: 'default', name: 'prometheus', operator: true })).key;
  tenantKey = (await createKey(bucket, { tenant: 'acme', name: 'acme' })).key;
  await bucket.close();
  stack = await startStack({
    queueUrl: redis.url,
    bucketUrl,
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, PART_INTERVAL: '1' },
  });
  const picture = await sharp({ create: { width: 96, height: 96, channels: 3, background: '#336699' } })
    .png()
    .toBuffer();
  const lines = [
    chat('a', [text('Hello')], { max_tokens: 8 }),
    chat('b', [text('Hello again')], { max_tokens: 8 }),
    chat('c', [text('What is this?'), image(picture)], { max_tokens: 8 }),
    chat('wrong', [text('Hello')], { temperature: 'hot' }),
  ];
  const client = clientOf(stack.url, tenantKey);
  const batch = await ended(client, await submit(client, jsonl(lines)));
  expect(batch.request_counts).toEqual({ total: 4, completed: 3, failed: 1 });
  for (const [name, url] of Object.entries({ api: stack.url, ...stack.health }))
    scraped.set(name, await scrape(`${url}/metrics`, name === 'api' ? operatorKey : undefined));
  // The last spans are sent when the processes end.
  await stack.stop();
});

afterAll(async () => {
  await stack.stop();
  await collector.stop();
  await redis.stop();
  await rm(folder, { recursive: true, force: true });
});

test('the infer worker counts what it did, by task, lane and outcome', () => {
  const infer = scraped.get('infer');
  const task = '/v1/chat/completions';
  expect(sum(infer, 'batchmill_items_total', { task, lane: 'text', outcome: 'answered' })).toBe(2);
  expect(sum(infer, 'batchmill_items_total', { task, lane: 'media', outcome: 'answered' })).toBe(1);
  expect(sum(infer, 'batchmill_items_total', { task, lane: 'text', outcome: 'rejected' })).toBe(1);
  expect(sum(infer, 'batchmill_items_total')).toBe(4);
  expect(sum(infer, 'batchmill_engine_call_seconds_count', { outcome: 'answered' })).toBe(3);
  expect(sum(infer, 'batchmill_tokens_total', { kind: 'prompt' })).toBeGreaterThan(0);
  expect(sum(infer, 'batchmill_tokens_total', { kind: 'generated' })).toBeGreaterThan(0);
  expect(sum(infer, 'batchmill_prefill_tokens_per_second_count')).toBeGreaterThan(0);
  expect(sum(infer, 'batchmill_decode_tokens_per_second_count')).toBeGreaterThan(0);
  expect(sum(infer, 'batchmill_media_seconds_count', { step: 'image' })).toBe(1);
  expect(sum(infer, 'batchmill_slots')).toBe(4);
  expect(sum(infer, 'batchmill_kv_tokens')).toBeGreaterThan(0);
  expect(sum(infer, 'batchmill_kv_tokens_capacity')).toBeGreaterThan(sum(infer, 'batchmill_kv_tokens'));
  expect(sum(infer, 'batchmill_queue_wait_seconds_count', { queue: 'batchmill-infer-text' })).toBe(1);
  expect(sum(infer, 'batchmill_queue_wait_seconds_count', { queue: 'batchmill-infer-media' })).toBe(1);
  expect(sum(infer, 'batchmill_filter_seconds_count')).toBeGreaterThan(0);
  expect(sum(infer, 'batchmill_bucket_seconds_count', { operation: 'put', outcome: 'ok' })).toBeGreaterThanOrEqual(2);
});

test('control worker and API count theirs', () => {
  expect(sum(scraped.get('control'), 'batchmill_batches_ended_total', { status: 'completed' })).toBe(1);
  expect(
    sum(scraped.get('control'), 'batchmill_queue_wait_seconds_count', { queue: 'batchmill-reconcile' }),
  ).toBeGreaterThan(1);
  const created = { method: 'POST', route: '/v1/batches', status: '200' };
  expect(sum(scraped.get('api'), 'batchmill_http_request_seconds_count', created)).toBe(1);
});

test('no label says whose it is', () => {
  for (const families of scraped.values())
    for (const family of families.values())
      for (const { labels = {} } of family.metrics) {
        expect(Object.keys(labels)).not.toContain('tenant');
        expect(JSON.stringify(labels)).not.toMatch(/acme|batch_[0-9a-f]{8}|file-[0-9a-f]{8}/);
      }
});

test('the spans of a batch are one trace, from the request to the engine and the bucket', () => {
  const { spans } = collector;
  const root = spans.find(({ name }) => name === 'POST /v1/batches');
  expect(root).toMatchObject({ service: 'batchmill-api' });
  const trace = new Map(spans.filter(({ traceId }) => traceId === root?.traceId).map((span) => [span.spanId, span]));
  /** Names from the span up to the request. */
  const path = (span: CollectedSpan | undefined): string[] =>
    span === undefined ? [] : [span.name, ...path(trace.get(span.parentSpanId ?? ''))];
  const named = (name: string) => [...trace.values()].filter((span) => span.name === name);

  const calls = named('engine.generate');
  expect(calls).toHaveLength(3);
  for (const call of calls) {
    expect(call.service).toBe('batchmill-worker');
    const up = path(call);
    expect(up.slice(0, 2)).toEqual(['engine.generate', 'item']);
    expect(up[2]).toMatch(/^process batchmill-infer/);
    expect(
      up.some((name) => /^add.* batchmill-infer/.test(name)),
      up.join(),
    ).toBe(true);
    expect(up).toContain('process batchmill-reconcile');
    expect(up.at(-1)).toBe('POST /v1/batches');
  }
  // Results written by the infer worker, and the end of the batch by the control worker.
  const writes = named('bucket.put').map((span) => ({ key: String(span.attributes['bucket.key']), path: path(span) }));
  const results = writes.filter(({ key }) => key.includes('/results/'));
  expect(results.length).toBeGreaterThanOrEqual(2);
  for (const { path: up } of results) expect(up.at(-1)).toBe('POST /v1/batches');
  const final = named('bucket.create').find((span) => String(span.attributes['bucket.key']).endsWith('/final.json'));
  expect(path(final).at(-1)).toBe('POST /v1/batches');
});

test('the log leads from the request to the batch and on to its shards', () => {
  const lines = (printed: string): Record<string, unknown>[] =>
    printed
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));
  const request = lines(stack.api.printed).find((line) => line.path === '/v1/batches' && line.method === 'POST');
  expect(request).toMatchObject({ requestId: expect.stringMatching(/^req_/), batch: expect.stringMatching(/^batch_/) });
  const shards = lines(stack.infer.printed).filter(
    (line) => line.msg === 'shard done' && line.batch === request?.batch,
  );
  expect(shards.map(({ shard }) => shard).sort()).toEqual([0, 1]);
  // With traces on, by the trace as well.
  for (const shard of shards) expect(shard.trace_id).toBe(request?.trace_id);
});
