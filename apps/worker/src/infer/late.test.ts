import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { BatchFact } from '@batchmill/batch';
import { type Bucket, layout, openBucket, parsePart } from '@batchmill/bucket';
import { NO_USAGE } from '@batchmill/contract';
import type { Engine } from '@batchmill/engine';
import { AuditLog } from '@batchmill/safety';
import type { Task } from '@batchmill/tasks';
import { createLogger } from '@batchmill/telemetry';
import { beforeEach, expect, test } from 'vitest';
import { EngineHost } from './engine-host.ts';
import { Judges } from './judges.ts';
import { runShard } from './run-shard.ts';
import { Slots } from './slots.ts';
import { Speedometer } from './speedometer.ts';
import { Stops } from './stops.ts';
import { openBatch } from './test-batch.ts';
import { Turns } from './turns.ts';

/** What is not wanted any more is not begun. The task here needs no engine: it says when each of its items began. */
const TENANT = 'acme';
const ID = `batch_${'0'.repeat(32)}`;
const ENDPOINT = '/v1/chat/completions';
const log = createLogger('test');
const never = new AbortController().signal;

const idle: Engine = {
  capabilities: {
    engine: 'none',
    model: 'none',
    image: false,
    audio: false,
    slots: 1,
    contextTokens: 1,
    logprobs: false,
    jsonSchema: false,
    embeddings: false,
  },
  generate: () => Promise.reject(new Error('nobody asks')),
  health: async () => {},
  ended: new Promise(() => {}),
  close: async () => {},
};

let bucket: Bucket;
let host: EngineHost;
/** When items began, Unix milliseconds. */
let begun: number[];
beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'batchmill-late-'));
  bucket = await openBucket(pathToFileURL(folder).href);
  host = await EngineHost.open(async () => idle, log);
  begun = [];
  return async () => {
    await host.close();
    await bucket.close();
    await rm(folder, { recursive: true, force: true });
  };
});

const slow = (onBegin = async (): Promise<void> => {}): Task => ({
  endpoint: ENDPOINT,
  inPieces: false,
  run: async () => {
    begun.push(Date.now());
    await onBegin();
    await sleep(20);
    return { segments: [], finish: () => ({}), usage: NO_USAGE };
  },
});

async function runOf(items: number, over: Partial<BatchFact>, task = slow()): Promise<void> {
  const line = (i: number) => JSON.stringify({ custom_id: `${i}`, method: 'POST', url: ENDPOINT, body: {} });
  await bucket.put(
    layout.batch.shard(TENANT, ID, 0),
    Array.from({ length: items }, (_, i) => `${i}\t${line(i)}\n`).join(''),
  );
  await bucket.put(layout.batch.batch(TENANT, ID), JSON.stringify(openBatch(TENANT, ID, over)));
  await runShard(
    {
      bucket,
      engine: host,
      slots: new Slots(1),
      turns: new Turns(1),
      pieceTurns: new Turns(1),
      stops: new Stops(bucket),
      tasks: new Map([[ENDPOINT, task]]),
      judges: new Judges(bucket, () => ({ filters: [], selfJudge: null })),
      audit: { log: new AuditLog(bucket), quarantine: null, key: null },
      itemTimeoutMs: 60_000,
      partIntervalMs: 60_000,
      models: ['none'],
      speedometer: new Speedometer(bucket, host.capabilities, log),
      log,
      reads: () => ({ openFile: async () => null, openObject: () => Promise.reject(new Error('none')) }),
    },
    { tenant: TENANT, batchId: ID, shard: 0, lane: 'text' },
    { admit: never, run: never },
  );
}

async function handedIn(): Promise<{ items: number; complete: boolean }> {
  const found = { items: 0, complete: false };
  for await (const { key } of bucket.list(layout.batch.parts(TENANT, ID))) {
    const part = parsePart(key);
    found.items += (part?.completed ?? 0) + (part?.failed ?? 0);
    found.complete ||= part?.last ?? false;
  }
  return found;
}

const cancel = () => bucket.create(layout.batch.cancel(TENANT, ID), JSON.stringify({ cancelling_at: 1 }));
const seconds = () => Math.floor(Date.now() / 1000);

test('nothing of a shard that comes after its batch has expired, or was cancelled', async () => {
  await runOf(5, { expires_at: seconds() });
  await cancel();
  await runOf(5, {});
  expect({ begun, ...(await handedIn()) }).toEqual({ begun: [], items: 0, complete: false });
});

test('no item that waits for its turn begins after its batch has expired; what is finished by then is handed in', async () => {
  const expires_at = seconds() + 2;
  await runOf(1_000, { expires_at });
  expect(begun.length).toBeGreaterThan(1);
  expect(begun.length).toBeLessThan(1_000);
  expect(Math.max(...begun)).toBeLessThan(expires_at * 1000);
  const { items, complete } = await handedIn();
  expect(complete).toBe(false);
  // The one that was at work at that moment is not wanted either.
  expect(items).toBeGreaterThanOrEqual(begun.length - 1);
});

test('a batch that is cancelled begins no item from the next look on', async () => {
  const task = slow(async () => {
    if (begun.length === 3) await cancel();
  });
  await runOf(1_000, {}, task);
  expect(begun.length).toBeGreaterThanOrEqual(3);
  expect(begun.length).toBeLessThan(500);
  expect((await handedIn()).complete).toBe(false);
});
