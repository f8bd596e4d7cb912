import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { layout, openBucket, parsePart, parsePieces } from '@batchmill/bucket';
import { type Endpoint, NO_USAGE, RequestError } from '@batchmill/contract';
import { type Engine, EngineError } from '@batchmill/engine';
import { AuditLog, DEFAULT_POLICY, type Filter, FilterError, localFilters, Policy, selfJudge } from '@batchmill/safety';
import { rules } from '@batchmill/safety/rules';
import type { Task, TaskContext } from '@batchmill/tasks';
import { createLogger } from '@batchmill/telemetry';
import { beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { EngineHost } from './engine-host.ts';
import { Judges } from './judges.ts';
import { runShard, type ShardDeps } from './run-shard.ts';
import { Slots } from './slots.ts';
import { Speedometer } from './speedometer.ts';
import { Stops } from './stops.ts';
import { openBatch } from './test-batch.ts';
import { Turns } from './turns.ts';

/** Items in pieces on a real bucket. The engine has no part in it: the task here computes its pieces itself. */
const TENANT = 'acme';
const ID = `batch_${'0'.repeat(32)}`;
const log = createLogger('test');
const never = new AbortController().signal;

const idle: Engine = {
  capabilities: {
    engine: 'none',
    model: 'none',
    image: true,
    audio: true,
    slots: 2,
    contextTokens: 1,
    logprobs: false,
    jsonSchema: false,
    embeddings: false,
  },
  generate: () => Promise.reject(new EngineError('bad_request', 'nobody should ask')),
  health: async () => {},
  ended: new Promise(() => {}),
  close: async () => {},
};

let bucket: Awaited<ReturnType<typeof openBucket>>;
let host: EngineHost;
beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'batchmill-pieces-'));
  bucket = await openBucket(pathToFileURL(folder).href);
  host = await EngineHost.open(async () => idle, log);
  return async () => {
    await host.close();
    await bucket.close();
    await rm(folder, { recursive: true, force: true });
  };
});

type Page = (page: number, context: TaskContext, signal: AbortSignal) => Promise<string>;

/** A task whose items have as many pieces as their body says. What it has done is in `done`. */
function pages(page: Page, done: string[], endpoint: Endpoint = '/v1/ocr'): Task {
  return {
    endpoint,
    inPieces: true,
    run: async (body, context) => {
      context.length(Number(body.pages));
      const texts = await Promise.all(
        Array.from({ length: Number(body.pages) }, (_, i) =>
          context.piece(`page-${i}`, {
            read: (kept) => z.string().parse(kept),
            work: async (signal) => {
              const text = await page(i, context, signal);
              done.push(`${body.name} ${i}`);
              return text;
            },
            texts: (text) => [text],
            units: () => 1,
          }),
        ),
      );
      return {
        segments: texts.map((text, i) => ({ id: `pages.${i}`, text })),
        usage: NO_USAGE,
        finish: (judged) => ({ text: judged.map((j) => j.text).join(' ') }),
      };
    },
  };
}

async function writeShard(...items: { name: string; pages: number }[]): Promise<void> {
  const lines = items.map(
    (body, i) => `${i}\t${JSON.stringify({ custom_id: body.name, method: 'POST', url: '/v1/ocr', body })}\n`,
  );
  await bucket.put(layout.batch.batch(TENANT, ID), JSON.stringify(openBatch(TENANT, ID)));
  await bucket.put(layout.batch.shard(TENANT, ID, 0), lines.join(''));
}

const run = (page: Page, done: string[], over: Partial<ShardDeps> = {}, stop = never) =>
  runShard(
    {
      bucket,
      engine: host,
      slots: new Slots(2),
      turns: new Turns(1),
      pieceTurns: new Turns(3),
      stops: new Stops(bucket),
      tasks: new Map([['/v1/ocr', pages(page, done)]]),
      judges: new Judges(bucket, () => ({ filters: [], selfJudge: null })),
      audit: { log: new AuditLog(bucket), quarantine: null, key: null },
      speedometer: new Speedometer(bucket, host.capabilities, log),
      itemTimeoutMs: 60_000,
      partIntervalMs: 60_000,
      models: ['none'],
      log,
      reads: () => ({ openFile: async () => null, openObject: () => Promise.reject(new Error('none')) }),
      ...over,
    },
    { tenant: TENANT, batchId: ID, shard: 0, lane: 'media' },
    { admit: stop, run: stop },
  );

async function results() {
  const found: Record<string, { status: number; text?: string; code?: string }> = {};
  let units = 0;
  for await (const { key } of bucket.list(layout.batch.parts(TENANT, ID))) {
    units += parsePart(key)?.units ?? 0;
    const text = Buffer.from((await bucket.get(key)) ?? []).toString('utf8');
    for (const line of text.split('\n').filter((l) => l !== '')) {
      const { custom_id, response } = JSON.parse(line.slice(line.indexOf('\t') + 1));
      const { text: answer, error } = response.body;
      found[custom_id] = { status: response.status_code, text: answer, code: error?.code };
    }
  }
  return { found, units };
}

/** Items whose length is known, and their pages, over all parts. */
async function lengths() {
  const sum = { items: 0, pages: 0 };
  for await (const { key } of bucket.list(layout.batch.prefix(TENANT, ID))) {
    const { begun } = parsePart(key) ?? parsePieces(key) ?? {};
    sum.items += begun?.items ?? 0;
    sum.pages += begun?.units ?? 0;
  }
  return sum;
}

async function keptUnits(): Promise<number> {
  let units = 0;
  for await (const { key } of bucket.list(layout.batch.pieces(TENANT, ID))) units += parsePieces(key)?.units ?? 0;
  return units;
}

test('a run that is stopped keeps the pieces it finished; the next does the others only', async () => {
  await writeShard({ name: 'a', pages: 9 }, { name: 'b', pages: 2 });
  const stop = new AbortController();
  const first: string[] = [];
  await run(
    async (page, { tenant }) => {
      if (first.length >= 5) {
        stop.abort(new Error('the worker stops'));
        await sleep(5);
      }
      return `${tenant}-${page}`;
    },
    first,
    {},
    stop.signal,
  );
  expect(first.length).toBeGreaterThanOrEqual(5);
  expect((await results()).found.a).toBeUndefined();
  const kept = (await keptUnits()) + (await results()).units;
  expect(kept).toBeGreaterThanOrEqual(5);

  const second: string[] = [];
  await run(async (page) => `again-${page}`, second);
  const { found, units } = await results();
  expect(found.a?.status).toBe(200);
  expect(found.a?.text?.split(' ').map((t) => t.replace(/^.*-/, ''))).toEqual([...'012345678']);
  expect(found.b?.status).toBe(200);
  // Progress counts each page once, wherever it was done.
  expect((await keptUnits()) + units).toBe(11);
  // And so it does the length of each item, though one was begun twice.
  expect(await lengths()).toEqual({ items: 2, pages: 11 });
  expect(kept + second.length).toBe(11);
  expect(second.filter((name) => first.includes(name)).length).toBeLessThanOrEqual(first.length - kept);
});

test('a worker that is killed loses what it did since the last part, and no more', async () => {
  await writeShard({ name: 'a', pages: 6 });
  const first: string[] = [];
  // It never ends: as if the process had been killed while page 3 was being read.
  const hanging = new AbortController();
  const running = run(
    (page, _, signal) =>
      page < 3
        ? Promise.resolve(`first-${page}`)
        : new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    first,
    { partIntervalMs: 20 },
    hanging.signal,
  );
  await expect.poll(keptUnits, { timeout: 5_000 }).toBe(3);
  const second: string[] = [];
  await run(async (page) => `second-${page}`, second);
  expect((await results()).found.a?.text).toBe('first-0 first-1 first-2 second-3 second-4 second-5');
  expect(second).toEqual(['a 3', 'a 4', 'a 5']);
  hanging.abort(new Error('over'));
  await running;
});

test('the time limit is that of one piece: an item of many may take as long as it needs', async () => {
  await writeShard({ name: 'long', pages: 12 });
  await run(async (page) => sleep(60, `${page}`), [], { itemTimeoutMs: 150 });
  expect((await results()).found.long?.status).toBe(200);
});

test('a piece over its time limit fails by itself; what the task makes of it is the answer', async () => {
  await writeShard({ name: 'stuck', pages: 2 });
  await run((page, _, signal) => (page === 0 ? Promise.resolve('0') : sleep(60_000, '', { signal })), [], {
    itemTimeoutMs: 50,
  });
  expect((await results()).found.stuck).toMatchObject({ status: 504, code: 'item_timeout' });
});

test('what was kept but cannot be read any more is done again', async () => {
  await writeShard({ name: 'a', pages: 1 });
  const key = layout.batch.piecesPart(TENANT, ID, { shard: 0, at: 1, writer: 'old', sequence: 0, units: 1 });
  await bucket.put(key, `${JSON.stringify([0, 'page-0', { of: 'another version' }])}\n`);
  const done: string[] = [];
  await run(async () => 'fresh', done);
  expect(done).toEqual(['a 0']);
  expect((await results()).found.a?.text).toBe('fresh');
});

test('when an item has failed its other pieces stop', async () => {
  await writeShard({ name: 'a', pages: 3 });
  const stopped: number[] = [];
  await run(async (page, _, signal) => {
    if (page === 1) throw new RequestError(400, 'no page', { code: 'invalid_page' });
    await sleep(60_000, undefined, { signal }).catch(() => stopped.push(page));
    return 'x';
  }, []);
  expect((await results()).found.a?.code).toBe('invalid_page');
  expect(stopped).toEqual([0, 2]);
});

test("an item's folder is gone when the item has ended, well or badly", async () => {
  await writeShard({ name: 'good', pages: 1 }, { name: 'bad', pages: 2 });
  const folders: string[] = [];
  await run(async (page, context) => {
    const folder = await context.folder();
    expect(await context.folder()).toBe(folder);
    await writeFile(join(folder, 'source'), 'x');
    folders.push(folder);
    if (page === 1) throw new RequestError(400, 'no page', { code: 'invalid_page' });
    return 'x';
  }, []);
  expect((await results()).found).toMatchObject({ good: { status: 200 }, bad: { status: 400, code: 'invalid_page' } });
  expect(new Set(folders).size).toBe(2);
  for (const folder of folders) await expect(access(folder)).rejects.toThrow();
});

test('a piece of which the policy takes something out is never written, only kept in memory', async () => {
  const policy = { ...DEFAULT_POLICY, categories: { secret: { redact: 1 } } };
  const secret = rules([{ name: 'number', pattern: 'KD-\\d+', category: 'secret', severity: 4 }]);
  const judges = new Judges(bucket, () => ({ filters: [secret], selfJudge: null }), policy);
  await writeShard({ name: 'a', pages: 4 });
  const first: string[] = [];
  const stop = new AbortController();
  const page: Page = async (n, _, signal) => {
    if (n === 3) await sleep(10_000, undefined, { signal });
    return n === 1 ? 'see KD-4711' : `page ${n}`;
  };
  const running = run(page, first, { partIntervalMs: 20, judges }, stop.signal);
  await expect.poll(keptUnits, { timeout: 5_000 }).toBe(2);
  stop.abort(new Error('stopping'));
  await running;
  for await (const { key } of bucket.list('batches/'))
    expect(Buffer.from((await bucket.get(key)) ?? []).toString('utf8')).not.toContain('KD-');
  const second: string[] = [];
  await run(async (n) => (n === 1 ? 'see KD-4711' : `page ${n}`), second, { judges });
  expect(second.sort()).toEqual(['a 1', 'a 3']);
  const { found, units } = await results();
  expect(found.a?.text).toBe('page 0 see [number] page 2 page 3');
  expect((await keptUnits()) + units).toBe(4);
});

test('what a piece was made of is not kept either, if the filters would take it out', async () => {
  await writeShard({ name: 'a', pages: 2 });
  const secret = 'KD-12345678';
  // Page 1 is read by way of a thought that names what the policy masks, and is itself clean.
  const speaking: Engine = {
    ...idle,
    generate: async ({ messages: [message] }) => {
      const [part] = message?.content ?? [];
      const asked = part?.type === 'text' ? part.text : '';
      return {
        text: `read ${asked}`,
        reasoning: asked === '1' ? `It says ${secret}.` : null,
        toolCalls: [],
        finishReason: 'stop',
        usage: { promptTokens: 1, cachedTokens: 0, completionTokens: 1, reasoningTokens: 0 },
        logprobs: null,
        unsafe: 0.1,
      };
    },
  };
  const engine = await EngineHost.open(async () => speaking, log);
  const policy = Policy.parse({
    version: 1,
    name: 'both',
    filters: {
      self_judge: {},
      rules: [{ name: 'number', pattern: 'KD-\\d{8}', category: 'internal', severity: 4 }],
    },
    categories: { internal: 'redact' },
  });
  const judge = selfJudge();
  const judges = new Judges(
    bucket,
    async () => ({ filters: [...(await localFilters(policy)), judge], selfJudge: judge.judge }),
    policy,
  );
  const read: Page = async (page, context, signal) => {
    const request = {
      messages: [{ role: 'user' as const, content: [{ type: 'text' as const, text: `${page}` }] }],
      thinking: false,
      sampling: { temperature: 0, topP: 1, topK: 1 },
      stop: [],
      format: { type: 'text' as const },
    };
    const { text } = await context.generate(request, signal);
    // Long enough for pieces to be written before the item ends.
    if (page === 1) await sleep(200);
    return text;
  };
  await run(read, [], { engine, judges, partIntervalMs: 20 });
  expect((await results()).found.a?.text).toBe('read 0 read 1');
  expect(await keptUnits()).toBe(1);
  for await (const { key } of bucket.list('')) {
    const text = Buffer.from((await bucket.get(key)) ?? []).toString('utf8');
    expect(text, key).not.toContain(secret);
  }
});

test('where a filter of the policy is not to be had, nothing is made', async () => {
  await writeShard({ name: 'a', pages: 1 });
  const unavailable = new FilterError('guard', 'there is no guard model');
  const filter: Filter = {
    name: 'guard',
    version: 'none',
    categories: [],
    exact: false,
    unavailable,
    inspect: () => Promise.reject(unavailable),
  };
  const made: string[] = [];
  const judges = new Judges(bucket, () => ({ filters: [filter], selfJudge: null }));
  await run(async () => 'text', made, { judges });
  expect(made).toEqual([]);
  expect((await results()).found.a).toMatchObject({ status: 500, code: 'content_filter_error' });
});
