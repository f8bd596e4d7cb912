import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI, { toFile } from 'openai';
import { answerTo, itemMark, POISON, usageOf } from '../servers/stand-in-engine.ts';
import { type Asked, checkBatch, checkBucket, type Findings } from './check.ts';
import { FAULTS, type Fault, KINDS } from './faults.ts';
import { Random } from './random.ts';
import type { Rig } from './rig.ts';

export interface ChaosOptions {
  /** The same seed gives the same faults in the same order. */
  seed: number;
  faults: number;
  /** In all. */
  items: number;
  /** Items of one batch; the last has the rest. */
  batchItems: number;
  /** Each kind of fault once, in random order, before any comes again. */
  each?: boolean;
  /** Only kinds whose name has this in it. */
  only?: string;
  /** Items that kill the engine, by number. */
  poison?: ReadonlySet<number>;
  log?: (line: string) => void;
}

export interface ChaosFigures extends Findings {
  faults: number;
  /** Objects and index entries that nothing needs after the sweep. */
  orphans: string[];
  /** Engine calls beyond one per item, of all items. */
  repeated: number;
  seconds: number;
}

const OPEN_AT_A_TIME = 3;
/** Faults whose share of the work may be queued before they come. */
const AHEAD = 6;
/** How long a fault waits for work that does not go on. */
const STILL_MS = 2_000;
const TERMINAL = ['completed', 'failed', 'expired', 'cancelled'];
/** If nothing changes for longer, something is stuck. */
const STUCK_MS = 120_000;

/**
 * Runs batches on a rig while faults happen, until all batches have ended; then ends the processes and holds everything
 * against what was asked for.
 */
export async function runChaos(rig: Rig, options: ChaosOptions): Promise<ChaosFigures> {
  const log = options.log ?? (() => {});
  const random = new Random(options.seed);
  const started = performance.now();
  const client = new OpenAI({ baseURL: `${rig.url}/v1`, apiKey: 'none', maxRetries: 0, timeout: 30_000 });
  const poison = options.poison ?? new Set<number>();
  const batches = new Map<string, { first: number; items: number }>();
  const ended = new Map<string, OpenAI.Batches.Batch>();
  let done = 0;

  const faults = faultsOf(rig, options, random);
  let failure: unknown;
  let begun = 0;
  let inflicted = 0;
  const breakAll = async (kind: Fault['of']) => {
    const own = new Random(random.next() * 2 ** 32);
    for (const [i, fault] of faults.entries()) {
      if (fault.of !== kind) continue;
      // Spread over the work, or over time where the work stands still.
      const due = ((i + own.next()) / faults.length) * options.items;
      const still = () => done < due && failure === undefined;
      for (const end = Date.now() + STILL_MS; still() && Date.now() < end; ) await sleep(50);
      if (failure !== undefined) return;
      begun++;
      log(`${stamp(started)} fault ${begun}: ${fault.name} (${done} items done)`);
      await fault.inflict(rig, own);
      inflicted++;
    }
  };
  const breaking = Promise.all(KINDS.map(breakAll));
  breaking.catch((error: unknown) => {
    failure = error;
  });

  let next = 0;
  let listed = false;
  const open = () => [...batches.keys()].filter((id) => !ended.has(id));
  for (let quietSince = Date.now(), seen = ''; ; await sleep(200)) {
    if (failure !== undefined) throw failure;
    // Not all at once: there must be work for the last fault too.
    const wanted = faults.length === 0 ? options.items : ((inflicted + AHEAD) / faults.length) * options.items;
    if (next < options.items && next < wanted && open().length < OPEN_AT_A_TIME) {
      const items = Math.min(options.batchItems, options.items - next);
      const [first, size] = [next, items];
      const id = await attempt(() => submit(client, first, size, poison));
      if (id === null) continue;
      next += items;
      batches.set(id, { first, items });
      log(`${stamp(started)} batch of ${items}: ${id}`);
    }
    const states: unknown[] = [];
    let finished = 0;
    for (const id of open()) {
      const batch = await attempt(() => client.batches.retrieve(id));
      if (batch === null) continue;
      const { completed = 0, failed = 0 } = batch.request_counts ?? {};
      finished += completed + failed;
      states.push([id, batch.status, completed, failed]);
      if (TERMINAL.includes(batch.status)) ended.set(id, batch);
    }
    for (const { request_counts: c } of ended.values()) finished += (c?.completed ?? 0) + (c?.failed ?? 0);
    done = Math.max(done, finished);
    const state = JSON.stringify([inflicted, ended.size, states]);
    if (state !== seen) quietSince = Date.now();
    seen = state;
    if (Date.now() - quietSince > STUCK_MS) throw new Error(`nothing moves: ${state}`);
    if (next < options.items || open().length > 0) continue;
    // Whoever does not hear the answer asks again, and may then have asked for two.
    if (!listed) listed = (await attempt(() => listAll(client, batches))) !== null;
    if (listed && open().length === 0) break;
  }
  await breaking;
  if (failure !== undefined) throw failure;
  log(`${stamp(started)} all ended; checking`);

  const figures: ChaosFigures = {
    faults: inflicted,
    lost: [],
    doubled: [],
    wrong: [],
    orphans: [],
    repeated: 0,
    seconds: 0,
  };
  for (const [id, { first, items }] of batches) {
    const batch = await client.batches.retrieve(id);
    const found = await checkBatch(client, batch, askedOf(first, items, poison));
    if (batch.status !== 'completed') figures.wrong.push(`${id} is ${batch.status}`);
    figures.lost.push(...found.lost);
    figures.doubled.push(...found.doubled);
    figures.wrong.push(...found.wrong);
  }
  const codes = await rig.end();
  codes.forEach((code, i) => {
    if (code !== 0) figures.wrong.push(`${rig.members[i]?.name} ended with ${code} after SIGTERM`);
  });
  figures.orphans = await checkBucket(rig.bucket);
  figures.repeated = repeatedOf(rig, batches, poison);
  figures.seconds = Math.round((performance.now() - started) / 1000);
  return figures;
}

const stamp = (started: number) => `${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s`;

async function attempt<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    // The API is away, or what it needs is: that is what this is about. An answer that blames us is not.
    if (error instanceof OpenAI.APIError && (error.status === undefined || error.status >= 500)) return null;
    throw error;
  }
}

async function listAll(client: OpenAI, batches: Map<string, { first: number; items: number }>): Promise<void> {
  for await (const { id, metadata } of client.batches.list({ limit: 100 }))
    batches.set(id, { first: Number(metadata?.first), items: Number(metadata?.items) });
}

const customId = (n: number) => `item-${n}`;

/** Sends items from number `first` on as one batch. */
export async function submit(
  client: OpenAI,
  first: number,
  items: number,
  poison: ReadonlySet<number> = new Set(),
): Promise<string> {
  const lines = Array.from({ length: items }, (_, i) => {
    const n = first + i;
    const content = `${itemMark(n)} What is it?${poison.has(n) ? ` ${POISON}` : ''}`;
    const body = { model: 'default', messages: [{ role: 'user', content }], max_tokens: 16, temperature: 0 };
    return JSON.stringify({ custom_id: customId(n), method: 'POST', url: '/v1/chat/completions', body });
  });
  const input = await client.files.create({
    file: await toFile(Buffer.from(lines.join('\n')), 'in.jsonl'),
    purpose: 'batch',
  });
  const batch = await client.batches.create({
    input_file_id: input.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
    metadata: { first: String(first), items: String(items) },
  });
  return batch.id;
}

/** What must come of it. */
export function askedOf(first: number, items: number, poison: ReadonlySet<number> = new Set()): Asked {
  return {
    customIds: Array.from({ length: items }, (_, i) => customId(first + i)),
    expected: (id) => {
      const n = Number(id.slice('item-'.length));
      return poison.has(n) ? null : { content: answerTo(n), ...usageOf(n) };
    },
  };
}

/** Of what was asked for twice, as a client that did not hear the answer asks again, twice is not too often. */
function repeatedOf(
  rig: Rig,
  batches: ReadonlyMap<string, { first: number; items: number }>,
  poison: ReadonlySet<number>,
): number {
  const due = new Map<number, number>();
  for (const { first, items } of batches.values())
    for (let n = first; n < first + items; n++) due.set(n, (due.get(n) ?? 0) + 1);
  let repeated = 0;
  let asked = 0;
  const calls = rig.engine.calls();
  for (const [n, times] of due) {
    asked += times;
    if (!poison.has(n)) repeated += Math.max(0, (calls.get(n) ?? 0) - times);
  }
  return repeated / asked;
}

function faultsOf(rig: Rig, { faults, each, only }: ChaosOptions, random: Random): Fault[] {
  const possible = FAULTS.filter((fault) => fault.on(rig) && fault.name.includes(only ?? ''));
  const chosen: Fault[] = [];
  let left: Fault[] = [];
  while (chosen.length < faults) {
    if (left.length === 0) left = [...possible];
    const fault = random.of(each === true ? left : possible);
    left.splice(left.indexOf(fault), 1);
    chosen.push(fault);
  }
  return chosen;
}
