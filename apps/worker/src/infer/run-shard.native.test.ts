import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Bucket, BucketUnavailableError, layout, openBucket } from '@batchmill/bucket';
import { newId, type OutputLine } from '@batchmill/contract';
import { type Engine, ensureLlamaServer, type GenerateRequest } from '@batchmill/engine';
import { type LlamaServerEngine, startLlamaServer } from '@batchmill/engine/llama-server';
import { AuditLog, DEFAULT_POLICY, type Filter, type Policy } from '@batchmill/safety';
import { personalData } from '@batchmill/safety/personal-data';
import { createTasks } from '@batchmill/tasks';
import { createLogger } from '@batchmill/telemetry';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { EngineHost } from './engine-host.ts';
import { Judges } from './judges.ts';
import { runShard, type ShardDeps } from './run-shard.ts';
import { Slots } from './slots.ts';
import { Speedometer } from './speedometer.ts';
import { Stops } from './stops.ts';
import { openBatch } from './test-batch.ts';
import { Turns } from './turns.ts';

/** One shard through the real engine, on a real bucket. Faults come from outside: the engine's process is killed. */
const TENANT = 'acme';
const ID = `batch_${'0'.repeat(32)}`;
const MODEL = fileURLToPath(new URL('../../../../models/test/text.gguf', import.meta.url));
const log = createLogger('test');

let folder: string;
let bucket: Bucket;
let host: EngineHost;
let program: string;
/** What happens to the engine when a prompt with this word comes in. */
let poison: ((engine: LlamaServerEngine) => void) | null;

beforeAll(async () => {
  program = (await ensureLlamaServer()).path;
  host = await EngineHost.open(startReal, log);
});
afterAll(() => host.close());

async function startReal(): Promise<Engine> {
  const engine = await startLlamaServer({
    program,
    model: MODEL,
    name: 'tiny',
    slots: 4,
    contextTokens: 1024,
    threads: 1,
  });
  const generate = (request: GenerateRequest, signal: AbortSignal) => {
    if (JSON.stringify(request.messages).includes('poison')) poison?.(engine);
    return engine.generate(request, signal);
  };
  return { ...spread(engine), generate };
}

/** The engine's members as they are, since its class keeps them on the prototype. */
function spread(engine: LlamaServerEngine): Engine {
  return {
    capabilities: engine.capabilities,
    ended: engine.ended,
    generate: (request, signal) => engine.generate(request, signal),
    health: () => engine.health(),
    close: () => engine.close(),
  };
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-shard-'));
  bucket = await openBucket(pathToFileURL(folder).href);
  poison = null;
  return async () => {
    await bucket.close();
    await rm(folder, { recursive: true, force: true });
  };
});

function deps(over: Partial<ShardDeps> = {}): ShardDeps {
  return {
    bucket,
    engine: host,
    slots: new Slots(4),
    turns: new Turns(10),
    pieceTurns: new Turns(10),
    stops: new Stops(bucket),
    tasks: createTasks(),
    judges: judges([]),
    audit: { log: new AuditLog(bucket), quarantine: null, key: null },
    speedometer: new Speedometer(bucket, host.capabilities, log),
    itemTimeoutMs: 60_000,
    partIntervalMs: 60_000,
    models: ['tiny'],
    log,
    reads: () => ({ openFile: async () => null, openObject: async () => Promise.reject(new Error('no s3 here')) }),
    ...over,
  };
}

/** Every batch is judged by these filters, and this policy. */
const judges = (filters: Filter[], categories: Policy['categories'] = {}) =>
  new Judges(bucket, () => ({ filters, selfJudge: null }), { ...DEFAULT_POLICY, categories });

interface Ask {
  id: string;
  url?: string;
  content?: string;
  body?: Record<string, unknown>;
}

async function writeShard(asks: Ask[]): Promise<void> {
  const lines = asks.map(({ id, url = '/v1/chat/completions', content = `Say ${id}.`, body = {} }, i) => {
    const chat = { messages: [{ role: 'user', content }], max_tokens: 8, temperature: 0 };
    const request = { model: 'tiny', ...(url === '/v1/chat/completions' ? chat : {}), ...body };
    return `${i}\t${JSON.stringify({ custom_id: id, method: 'POST', url, body: request })}\n`;
  });
  await bucket.put(layout.batch.batch(TENANT, ID), JSON.stringify(openBatch(TENANT, ID)));
  await bucket.put(layout.batch.shard(TENANT, ID, 0), lines.join(''));
}

const never = new AbortController().signal;
const run = (over: Partial<ShardDeps> = {}, stop = { admit: never, run: never }) =>
  runShard(deps(over), { tenant: TENANT, batchId: ID, shard: 0, lane: 'text' }, stop);

interface Part {
  key: string;
  lines: OutputLine[];
}

async function parts(): Promise<Part[]> {
  const found: Part[] = [];
  for await (const { key } of bucket.list(layout.batch.parts(TENANT, ID))) {
    const text = Buffer.from((await bucket.get(key)) ?? []).toString('utf8');
    const lines = text.split('\n').filter((l) => l !== '');
    found.push({ key, lines: lines.map((l) => JSON.parse(l.slice(l.indexOf('\t') + 1))) });
  }
  return found;
}

async function results(): Promise<Map<string, OutputLine>> {
  const lines = (await parts()).flatMap((p) => p.lines);
  expect(new Set(lines.map((l) => l.custom_id)).size).toBe(lines.length);
  return new Map(lines.map((l) => [l.custom_id, l]));
}

test('an item that kills the engine costs its own line; those beside it are answered', async () => {
  const asks: Ask[] = Array.from({ length: 16 }, (_, i) => ({ id: `item-${i}` }));
  asks[5] = { id: 'item-5', content: 'poison' };
  await writeShard(asks);
  const before = host.deaths;
  poison = (engine) => process.kill(engine.pid, 'SIGKILL');
  await run();
  const lines = await results();
  expect(lines.size).toBe(16);
  expect(lines.get('item-5')?.response).toMatchObject({ status_code: 500, body: { error: { code: 'engine_crash' } } });
  for (const [id, line] of lines) if (id !== 'item-5') expect(line.response?.status_code, id).toBe(200);
  expect(host.deaths - before).toBe(2);
});

test('an item during which the engine dies once is answered all the same', async () => {
  await writeShard([{ id: 'a' }, { id: 'b', content: 'poison' }, { id: 'c' }]);
  poison = (engine) => {
    poison = null;
    process.kill(engine.pid, 'SIGKILL');
  };
  await run();
  for (const line of (await results()).values()) expect(line.response?.status_code).toBe(200);
});

test('an item over its time limit is an error, and the engine goes on', async () => {
  await writeShard([{ id: 'stuck', content: 'poison' }]);
  let resume = () => {};
  poison = ({ pid }) => {
    process.kill(pid, 'SIGSTOP');
    resume = () => process.kill(pid, 'SIGCONT');
  };
  await run({ itemTimeoutMs: 300 });
  resume();
  const stuck = (await results()).get('stuck');
  expect(stuck?.response).toMatchObject({ status_code: 504, body: { error: { code: 'item_timeout' } } });
  for (const { key } of await parts()) await bucket.delete(key);
  poison = null;
  await writeShard([{ id: 'next' }]);
  await run();
  expect((await results()).get('next')?.response?.status_code).toBe(200);
});

test('a shard that is stopped hands in what is finished; the next run does the rest and says it is complete', async () => {
  await writeShard(Array.from({ length: 40 }, (_, i) => ({ id: `item-${i}` })));
  const admit = new AbortController();
  let answered = 0;
  const counting: Filter = {
    name: 'counts',
    version: '1',
    categories: [],
    exact: false,
    inspect: async (segments) => {
      if (++answered === 10) admit.abort(new Error('stopping'));
      return segments.map(() => []);
    },
  };
  await run({ judges: judges([counting]) }, { admit: admit.signal, run: never });
  const first = await results();
  expect(first.size).toBeGreaterThanOrEqual(10);
  expect(first.size).toBeLessThan(40);
  expect((await parts()).every((p) => !p.key.includes('.last'))).toBe(true);
  await run();
  expect((await results()).size).toBe(40);
  expect((await parts()).filter((p) => p.key.includes('.last'))).toHaveLength(1);
  // Nothing is left to do for a third.
  const before = (await parts()).length;
  await run();
  expect((await parts()).length).toBe(before);
});

test('when what is withheld cannot be taken down, the shard fails, and what was finished beside it is kept', async () => {
  await writeShard(Array.from({ length: 40 }, (_, i) => ({ id: `item-${i}` })));
  const broken: Filter = {
    name: 'breaks',
    version: '1',
    categories: [],
    exact: false,
    inspect: async (segments, context) => {
      if (context.customId === 'item-3') throw new Error('this one cannot be judged');
      return segments.map(() => []);
    },
  };
  const away = () => Promise.reject(new BucketUnavailableError('away'));
  const log = new AuditLog(Object.create(bucket, { put: { value: away }, create: { value: away } }), {
    gatherMs: 0,
    pausesMs: [],
  });
  const failing = run({ judges: judges([broken]), audit: { log, quarantine: null, key: null } });
  await expect(failing).rejects.toThrow('away');
  const kept = await results();
  expect(kept.size).toBeGreaterThan(0);
  expect(kept.has('item-3')).toBe(false);
  // It takes no further items, and those that ran beside it are in the bucket.
  expect(kept.size).toBeLessThan(40);
  await run();
  expect((await results()).size).toBe(40);
});

test('a file that the store does not give is asked for again; if it stays away, the item says so', async () => {
  const document = { type: 'file', file_id: newId('file-') };
  await writeShard([{ id: 'media', url: '/v1/ocr', body: { document } }, { id: 'text' }]);
  let asked = 0;
  const outage = (length: number) => () => ({
    openFile: async () => {
      if (++asked <= length) throw new BucketUnavailableError('away');
      return null;
    },
    openObject: async () => Promise.reject(new Error('no s3 here')),
  });
  const answer = async (id: string) => (await results()).get(id)?.response;
  await run({ reads: outage(Infinity), storePausesMs: [1, 1, 1, 1] });
  expect(asked).toBe(5);
  expect(await answer('media')).toMatchObject({ status_code: 503, body: { error: { code: 'storage_unavailable' } } });
  expect((await answer('text'))?.status_code).toBe(200);

  for (const { key } of await parts()) await bucket.delete(key);
  asked = 0;
  await run({ reads: outage(4), storePausesMs: [1, 1, 1, 1] });
  // The store is back: what it says now counts.
  expect(await answer('media')).toMatchObject({ status_code: 400, body: { error: { code: 'file_not_found' } } });
});

test('what a filter cannot judge is not delivered, nor written anywhere', async () => {
  await writeShard([{ id: 'judged' }, { id: 'unjudged' }]);
  let seen = '';
  const broken: Filter = {
    name: 'breaks',
    version: '1',
    categories: [],
    exact: false,
    inspect: async (segments, context) => {
      if (context.customId === 'judged') return segments.map(() => []);
      seen = segments[0]?.text ?? '';
      throw new Error('the guard model is gone');
    },
  };
  await run({ judges: judges([broken]) });
  const lines = await results();
  expect(lines.get('judged')?.response?.status_code).toBe(200);
  expect(lines.get('unjudged')?.response).toMatchObject({
    status_code: 500,
    body: { error: { code: 'content_filter_error' } },
  });
  expect(seen.length).toBeGreaterThan(0);
  expect(JSON.stringify(lines.get('unjudged'))).not.toContain(JSON.stringify(seen).slice(1, -1));
});

/** Constrained decoding makes a model of noise write what the test wants. */
const writes = (value: string) => ({
  max_tokens: 200,
  response_format: {
    type: 'json_schema',
    json_schema: {
      name: 'fixed',
      schema: {
        type: 'object',
        properties: { contact: { const: value } },
        required: ['contact'],
        additionalProperties: false,
      },
    },
  },
});

test('personal data in an answer is taken out, or the answer is withheld', async () => {
  await writeShard([
    { id: 'mail', body: writes('ann.lee@example.org') },
    { id: 'card', body: writes('4111 1111 1111 1111') },
    { id: 'none', body: writes('nobody') },
  ]);
  await run({ judges: judges([personalData({ region: 'US' })], { personal_data: { redact: 1 } }) });
  const redacted = await results();
  const content = (id: string) => {
    const body = redacted.get(id)?.response?.body;
    return JSON.parse(Object(body).choices[0].message.content).contact;
  };
  expect([content('mail'), content('card'), content('none')]).toEqual(['[email]', '[card]', 'nobody']);
  expect(JSON.stringify([...redacted.values()])).not.toContain('ann.lee');

  for (const { key } of await parts()) await bucket.delete(key);
  await run({ judges: judges([personalData({ region: 'US' })], { personal_data: { block: 1 } }) });
  const blocked = await results();
  expect(blocked.get('mail')?.response).toMatchObject({
    status_code: 200,
    body: {
      choices: [
        {
          finish_reason: 'content_filter',
          message: { content: null },
          content_filter_results: { personal_data: { filtered: true, detected: true } },
        },
      ],
    },
  });
  expect(blocked.get('none')?.response).toMatchObject({ body: { choices: [{ finish_reason: 'stop' }] } });
  expect(JSON.stringify([...blocked.values()])).not.toContain('ann.lee');
});
