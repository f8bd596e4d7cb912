import { Agent, FormData, request } from 'undici';
import { memoryOf } from '../test/servers/service.ts';
import { startApiStack } from './api-stack.ts';
import type { BenchOptions } from './main.ts';

/**
 * The API under 200 clients at once, each of which asks, waits for the answer, thinks for a second or so, and asks again:
 * uploads of 20 kB, creations of batches, gets of files and batches, lists of both. One API process and one control worker on a
 * folder and Redis, no infer worker. `p99_ms`: of all answers, from the first byte of the request to the last of the answer;
 * `p50_ms` likewise; `requests_per_s`: as it came out. Then the same clients without a pause, each asking again the moment it has
 * its answer: `flat_out_per_s` and `flat_out_p99_ms`. `errors`: answers other than 200 and 429, and connections that broke, of
 * both. `peak_rss_mb`: of the API.
 */
const CLIENTS = 200;
const THINK_MS = 1_000;
const LINES = 40;

type Call = 'upload' | 'create' | 'get file' | 'get batch' | 'list files' | 'list batches' | 'download';
/** Out of 100 requests. */
const MIX: readonly [Call, number][] = [
  ['upload', 20],
  ['create', 10],
  ['get file', 15],
  ['get batch', 30],
  ['list files', 10],
  ['list batches', 10],
  ['download', 5],
];

export async function run(options: BenchOptions): Promise<Record<string, number>> {
  const seconds = options.quick ? 10 : 60;
  const stack = await startApiStack();
  const agent = new Agent({ connections: CLIENTS });
  const clients = new Clients(`${stack.url}/v1`, agent);
  try {
    // Something to list before anybody asks.
    for (let i = 0; i < 100; i++) {
      await clients.ask('upload');
      await clients.ask('create');
    }
    const thinking = await load(clients, seconds, THINK_MS);
    const flatOut = await load(clients, seconds / 3, 0);
    return {
      p99_ms: at(thinking.times, 0.99),
      p50_ms: at(thinking.times, 0.5),
      errors: thinking.errors + flatOut.errors,
      requests: thinking.times.length,
      requests_per_s: thinking.perSecond,
      flat_out_per_s: flatOut.perSecond,
      flat_out_p99_ms: at(flatOut.times, 0.99),
      peak_rss_mb: Math.round(memoryOf(stack.api.pid).peakMb),
    };
  } finally {
    await agent.close();
    await stack.stop();
  }
}

/** All clients for some seconds, with pauses of `thinkMs` on average. */
async function load(clients: Clients, seconds: number, thinkMs: number) {
  clients.reset();
  const start = performance.now();
  const until = start + seconds * 1_000;
  await Promise.all(
    Array.from({ length: CLIENTS }, async (_, n) => {
      const random = seeded(n + 1);
      // They do not all come at the same moment.
      await pause(random() * thinkMs);
      while (performance.now() < until) {
        await clients.ask(pick(random()));
        if (thinkMs > 0) await pause(thinkMs * (0.5 + random()));
      }
    }),
  );
  const took = (performance.now() - start) / 1_000;
  process.stderr.write(`${CLIENTS} clients, ${thinkMs} ms of thinking:\n`);
  for (const [call, times] of clients.times)
    process.stderr.write(`  ${call}: ${times.length}, p50 ${at(times, 0.5)} ms, p99 ${at(times, 0.99)} ms\n`);
  for (const [what, count] of clients.wrong) process.stderr.write(`  ${count} × ${what}\n`);
  const times = [...clients.times.values()].flat();
  const errors = [...clients.wrong.values()].reduce((sum, n) => sum + n, 0);
  return { times, errors, perSecond: Math.round(times.length / took) };
}

class Clients {
  readonly times = new Map<Call, number[]>();
  readonly wrong = new Map<string, number>();
  readonly #url: string;
  readonly #agent: Agent;
  #files: string[] = [];
  #batches: string[] = [];
  #next = 0;

  constructor(url: string, agent: Agent) {
    this.#url = url;
    this.#agent = agent;
  }

  reset(): void {
    this.times.clear();
    this.wrong.clear();
  }

  async ask(call: Call): Promise<void> {
    const started = performance.now();
    try {
      const { status, body } = await this.#send(call);
      if (status !== 200 && status !== 429) this.#count(`${call}: ${status} ${body.slice(0, 200)}`);
    } catch (error) {
      this.#count(`${call}: ${error instanceof Error ? error.message : String(error)}`);
    }
    const times = this.times.get(call) ?? [];
    times.push(performance.now() - started);
    this.times.set(call, times);
  }

  async #send(call: Call): Promise<{ status: number; body: string }> {
    const recent = (ids: readonly string[]) => ids[ids.length - 1 - (this.#next++ % Math.min(200, ids.length))] ?? '';
    switch (call) {
      case 'upload': {
        const form = new FormData();
        form.set('purpose', 'batch');
        form.set('file', new Blob([INPUT]), 'input.jsonl');
        return this.#keep(this.#files, await this.#request('/files', { method: 'POST', body: form }));
      }
      case 'create': {
        const input_file_id = recent(this.#files);
        const body = JSON.stringify({ input_file_id, endpoint: '/v1/chat/completions', completion_window: '24h' });
        const headers = { 'content-type': 'application/json' };
        return this.#keep(this.#batches, await this.#request('/batches', { method: 'POST', body, headers }));
      }
      case 'get file':
        return this.#request(`/files/${recent(this.#files)}`);
      case 'get batch':
        return this.#request(`/batches/${recent(this.#batches)}`);
      case 'list files':
        return this.#request('/files?limit=20');
      case 'list batches':
        return this.#request('/batches?limit=20');
      case 'download':
        return this.#request(`/files/${recent(this.#files)}/content`);
    }
  }

  async #request(path: string, init: Omit<Parameters<typeof request>[1] & object, 'dispatcher'> = {}) {
    const { statusCode, body } = await request(`${this.#url}${path}`, { ...init, dispatcher: this.#agent });
    return { status: statusCode, body: await body.text() };
  }

  #keep(ids: string[], answer: { status: number; body: string }) {
    if (answer.status === 200) ids.push(String(Object(JSON.parse(answer.body)).id));
    return answer;
  }

  #count(what: string): void {
    this.wrong.set(what, (this.wrong.get(what) ?? 0) + 1);
  }
}

const INPUT = Array.from({ length: LINES }, (_, i) =>
  JSON.stringify({
    custom_id: `item-${i}`,
    method: 'POST',
    url: '/v1/chat/completions',
    body: { model: 'default', messages: [{ role: 'user', content: 'x'.repeat(400) }] },
  }),
).join('\n');

function pick(random: number): Call {
  let left = random * 100;
  for (const [call, share] of MIX) {
    left -= share;
    if (left < 0) return call;
  }
  return 'get batch';
}

/** Numbers from 0 to 1, the same each time (mulberry32). */
function seeded(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function at(times: readonly number[], share: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
