import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readGguf } from '../gguf/index.ts';
import type { GenerateRequest, Message } from '../port.ts';
import { type NodeLlamaCpp, startNodeLlamaCpp } from './node-llama-cpp.ts';

const testModel = (name: string) => new URL(`../../../../models/test/${name}`, import.meta.url).pathname;
const modelPath = testModel('text.gguf');
const options = { modelPath, model: 'tiny', slots: 2, contextTokens: 512, threads: 1, gpu: false };
const never = new AbortController().signal;

const say = (text: string): Message[] => [{ role: 'user', content: [{ type: 'text', text }] }];
const request = (text: string, more: Partial<GenerateRequest> = {}): GenerateRequest => ({
  messages: say(text),
  thinking: false,
  sampling: { temperature: 0, topP: 1, topK: 0 },
  maxTokens: 24,
  stop: [],
  format: { type: 'text' },
  ...more,
});
const fails = (code: string, words = '') => expect.objectContaining({ code, message: expect.stringContaining(words) });

let engine: NodeLlamaCpp;
beforeAll(async () => {
  engine = await startNodeLlamaCpp(options);
});
afterAll(async () => {
  await engine.close();
});

describe('generation', () => {
  it('evaluates again only what is new', async () => {
    const first = await engine.generate(request('The same beginning, then one thing'), never);
    const second = await engine.generate(request('The same beginning, then another'), never);
    expect(second.usage.cachedTokens).toBeGreaterThan(20);
    expect(second.usage.cachedTokens).toBeLessThan(first.usage.promptTokens);
    const fresh = await startNodeLlamaCpp(options);
    try {
      const third = await fresh.generate(request('The same beginning, then another'), never);
      expect(third.usage.cachedTokens).toBe(0);
      expect(third.text).toBe(second.text);
    } finally {
      await fresh.close();
    }
  });

  it('does not go back to where a sliding window has lost its tokens', async () => {
    // Gemma 4's window is 512 tokens: after the long prompt the short one's beginning is only in the full layers.
    const long = Array.from({ length: 1500 }, (_, at) => 'abcdefghijklmnopqrstuvwxyz'[(at * at * 7 + at) % 26]).join(
      '',
    );
    const short = `${long.slice(0, 200)}zz`;
    const one = { ...options, slots: 1, contextTokens: 4096 };
    const used = await startNodeLlamaCpp(one);
    const fresh = await startNodeLlamaCpp(one);
    try {
      await used.generate(request(long), never);
      const after = await used.generate(request(short, { logprobs: 0 }), never);
      const alone = await fresh.generate(request(short, { logprobs: 0 }), never);
      expect(after.text).toBe(alone.text);
      expect(after.logprobs?.[0]?.logprob).toBeCloseTo(alone.logprobs?.[0]?.logprob ?? 0, 2);
    } finally {
      await Promise.all([used.close(), fresh.close()]);
    }
  });

  it('keeps to bans and penalties', async () => {
    const plain = await engine.generate(request('Hello', { logprobs: 1 }), never);
    const first = plain.logprobs?.[0]?.token ?? '';
    const banned = await engine.generate(
      request('Hello', { sampling: { temperature: 0, topP: 1, topK: 0, logitBias: ban(first) }, logprobs: 1 }),
      never,
    );
    expect(banned.logprobs?.[0]?.token).not.toBe(first);
    const penalised = await engine.generate(
      request('Hello', { sampling: { temperature: 0, topP: 1, topK: 0, frequencyPenalty: 2, presencePenalty: 2 } }),
      never,
    );
    expect(penalised.text).not.toBe(plain.text);
  });

  it('holds to a JSON schema, and to JSON', async () => {
    const schema = {
      type: 'object',
      properties: {
        kind: { enum: ['a', 'b'] },
        count: { type: 'integer' },
        note: { anyOf: [{ type: 'boolean' }, { type: 'null' }] },
      },
      required: ['kind'],
      additionalProperties: false,
    };
    const { text } = await engine.generate(
      request('JSON', { format: { type: 'json_schema', schema }, maxTokens: 200 }),
      never,
    );
    const value = JSON.parse(text);
    expect(['a', 'b']).toContain(value.kind);
    expect(Number.isInteger(value.count)).toBe(true);
    expect([true, false, null]).toContain(value.note);
    const free = await engine.generate(request('JSON', { format: { type: 'json_object' }, maxTokens: 200 }), never);
    expect(free.finishReason === 'length' || typeof JSON.parse(free.text) === 'object').toBe(true);
    expect(free.text).toMatch(/^\{/);
  });

  it('lets the first token choose between a call and the format', async () => {
    const tools = [{ name: 'lamp' }];
    const format = { type: 'json_object' } as const;
    const bound = await engine.generate(request('JSON', { tools, format }), never);
    expect(bound.text).toMatch(/^\{/);
    const call = Number(Object.keys(ban('<|tool_call>'))[0]);
    const sampling = { temperature: 0, topP: 1, topK: 0, logitBias: { [call]: 100 } };
    const calling = await engine.generate(request('JSON', { tools, format, sampling, maxTokens: 2 }), never);
    expect(calling.text).toBe('<|tool_call><|tool_call>');
  });

  it('heeds stop texts only behind the thought', async () => {
    const free = await engine.generate(
      request('Give JSON', { thinking: true, stop: ['never there'], maxTokens: 40 }),
      never,
    );
    const stop = free.reasoning?.slice(2, 4) ?? '';
    const stopped = await engine.generate(request('Give JSON', { thinking: true, stop: [stop], maxTokens: 40 }), never);
    expect(stop).not.toBe('');
    expect(stopped.reasoning).toBe(free.reasoning);
  });

  it('refuses what a schema cannot be held to', async () => {
    const refused = (schema: Record<string, unknown>) =>
      engine.generate(request('JSON', { format: { type: 'json_schema', schema } }), never);
    await expect(refused({ type: 'string', pattern: '^a$' })).rejects.toEqual(fails('bad_request', '"pattern"'));
  });

  it('thinks first, and then keeps to the format', async () => {
    let reasoningTokens = 0;
    for (const text of ['Give JSON', 'One', 'Two', 'Three']) {
      const answer = await engine.generate(
        request(text, { thinking: true, format: { type: 'json_object' }, maxTokens: 40 }),
        never,
      );
      expect(answer.text).toMatch(/^(?:\{|$)/);
      reasoningTokens += answer.usage.reasoningTokens;
    }
    expect(reasoningTokens).toBeGreaterThan(0);
  });
});

describe('classification', () => {
  it('gives the probability of each candidate', async () => {
    const result = await engine.classify?.(
      { messages: say('Safe?'), candidates: ['a', 'b', '7'], prefix: 'It is ' },
      never,
    );
    expect(Object.keys(result ?? {}).sort()).toEqual(['7', 'a', 'b']);
    const sum = Object.values(result ?? {}).reduce((total, value) => total + value, 0);
    expect(sum).toBeGreaterThan(0);
    expect(sum).toBeLessThanOrEqual(1);
  });
  it('refuses a candidate that is nothing', async () => {
    const request = { messages: say('Safe?'), candidates: ['a', ''] };
    await expect(engine.classify?.(request, never)).rejects.toEqual(fails('bad_request', 'is empty'));
  });
});

describe('embeddings', () => {
  it('have unit length, and the same for the same text', async () => {
    const vectors = (await engine.embed?.(['one', 'two', 'one'], never)) ?? [];
    expect(vectors.map((vector) => Math.hypot(...vector))).toEqual([1, 1, 1].map(() => expect.closeTo(1, 5)));
    expect(vectors[2]).toEqual(vectors[0]);
    expect(vectors[1]).not.toEqual(vectors[0]);
  });
  it('of too long a text are refused', async () => {
    await expect(engine.embed?.(['x '.repeat(600)], never)).rejects.toEqual(fails('context_overflow', '512'));
  });
});

describe('the process', () => {
  it('does not outlive the worker', async () => {
    const script = `
      const { startNodeLlamaCpp } = await import(${JSON.stringify(new URL('node-llama-cpp.ts', import.meta.url).href)});
      const engine = await startNodeLlamaCpp(${JSON.stringify(options)});
      console.log(engine.pid);
      setInterval(() => {}, 1000);`;
    const worker = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = await once(worker.stdout, 'data');
    const pid = Number(String(line));
    expect(alive(pid)).toBe(true);
    worker.kill('SIGKILL');
    await once(worker, 'exit');
    await expect.poll(() => alive(pid), { timeout: 5000 }).toBe(false);
  });
});

describe('a model that cannot be loaded', () => {
  it('is told before any engine sees it', async () => {
    await expect(startNodeLlamaCpp({ ...options, modelPath: '/none.gguf' })).rejects.toEqual(fails('model_unusable'));
    const mmproj = testModel('mmproj.gguf');
    await expect(startNodeLlamaCpp({ ...options, modelPath: mmproj })).rejects.toEqual(
      fails('model_unusable', 'mmproj'),
    );
  });
  it('is told when llama.cpp refuses it', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'engine-'));
    try {
      const strange = readFileSync(modelPath);
      // The same header with an architecture nobody knows.
      for (let at = strange.indexOf('gemma4'); at >= 0; at = strange.indexOf('gemma4', at)) strange.write('gemma9', at);
      writeFileSync(join(directory, 'strange.gguf'), strange);
      await expect(startNodeLlamaCpp({ ...options, modelPath: join(directory, 'strange.gguf') })).rejects.toEqual(
        fails('model_unusable'),
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
  it('need not be waited for', async () => {
    const starting = startNodeLlamaCpp({ ...options, signal: AbortSignal.timeout(20) });
    await expect(starting).rejects.toEqual(fails('aborted'));
  });
});

/** The token's id or ids, banned. */
function ban(text: string): Record<string, number> {
  const tokens = readGguf(modelPath).texts('tokenizer.ggml.tokens', (utf8) => utf8.toString() === text);
  return Object.fromEntries(tokens.map(([id]) => [String(id), -100]));
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
