import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EngineError, type GenerateRequest, type MessagePart } from '../port.ts';
import { png } from '../samples.ts';
import { ensureLlamaServer, type LlamaServerEngine, type LlamaServerOptions, startLlamaServer } from './index.ts';

/** What is llama-server's own, beside what every engine must do. */

const file = (name: string) => fileURLToPath(new URL(`../../../../models/test/${name}`, import.meta.url));
const model = file('text.gguf');
const mmproj = file('mmproj.gguf');

let program: string;
beforeAll(async () => {
  program = (await ensureLlamaServer()).path;
}, 600_000);

function start(more: Partial<LlamaServerOptions> = {}): Promise<LlamaServerEngine> {
  return startLlamaServer({ program, model, name: 'tiny', slots: 1, contextTokens: 2_048, threads: 1, ...more });
}

function ask(content: MessagePart[], more: Partial<GenerateRequest> = {}): GenerateRequest {
  return {
    messages: [{ role: 'user', content }],
    thinking: false,
    sampling: { temperature: 0, topP: 1, topK: 0 },
    maxTokens: 8,
    stop: [],
    format: { type: 'text' },
    ...more,
  };
}

const words = (text: string): MessagePart[] => [{ type: 'text', text }];

async function failure(call: Promise<unknown>): Promise<EngineError> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error instanceof EngineError) return error;
  throw new Error(`No EngineError: ${String(error)}`);
}

describe('starting', () => {
  test.for([
    ['a projector as the model', { model: mmproj }],
    ['a text model as the projector', { mmproj: model }],
    ['a file that is not there', { model: '/nowhere.gguf' }],
  ] as const)('%s is refused', async ([, options]) => {
    expect((await failure(start(options))).code).toBe('model_unusable');
  });

  test('what the server says of a model that it cannot load is passed on', async () => {
    // A server that knows none of our arguments stands for any that gives up.
    const error = await failure(start({ program: '/bin/cat' }));
    expect(error.code).toBe('model_unusable');
    expect(error.message).toMatch(/exit code 1; the last it wrote:\n.*cat/);
  });

  test('a program that is not there', async () => {
    expect((await failure(start({ program: '/nowhere/llama-server' }))).code).toBe('engine_missing');
  });

  test('loading can be cancelled', async () => {
    expect((await failure(start({ signal: AbortSignal.abort() }))).code).toBe('aborted');
  });

  test('no more context is promised than the model was trained for', async () => {
    const engine = await start({ contextTokens: 100_000 });
    expect(engine.capabilities.contextTokens).toBe(8_192);
    await engine.close();
  });

  test('pictures may be limited to fewer tokens than the model would give any', async () => {
    const engine = await start({ mmproj, imageMaxTokens: 16 });
    const never = new AbortController().signal;
    const picture = png(320, 240, () => [10, 200, 30]);
    const [{ usage }, blind] = [
      await engine.generate(ask([{ type: 'image', data: picture }, ...words('x')]), never),
      await engine.generate(ask(words('x')), never),
    ];
    // Two of the tokens are the marks around it.
    expect(usage.promptTokens - blind.usage.promptTokens).toBeLessThanOrEqual(18);
    await engine.close();
  });
});

describe('running', () => {
  let engine: LlamaServerEngine;
  beforeAll(async () => {
    engine = await start();
  });
  afterAll(() => engine.close());
  const generate = (request: GenerateRequest) => engine.generate(request, new AbortController().signal);

  test('a system prompt that requests share is computed once', async () => {
    const system = { role: 'system' as const, content: words('be good and kind to the user. '.repeat(20)) };
    const about = (text: string) => ask([], { messages: [system, { role: 'user', content: words(text) }] });
    const first = await generate(about('one thing'));
    const second = await generate(about('something else'));
    expect(first.usage.cachedTokens).toBe(0);
    expect(second.usage.cachedTokens).toBeGreaterThan(second.usage.promptTokens * 0.8);
    const afresh = await start();
    expect((await afresh.generate(about('something else'), new AbortController().signal)).text).toBe(second.text);
    await afresh.close();
  });

  const judge = { question: 'Is that safe?', safe: 'yes', unsafe: 'no' };

  test('judging computes only the question, also where all is shorter than the sliding window (our build)', async () => {
    const answer = await generate(ask(words('hello'), { judge }));
    const { promptTokens, completionTokens } = answer.usage;
    expect(answer.judging?.cachedTokens).toBeGreaterThanOrEqual(promptTokens + completionTokens - 2);
  });

  test('after a judged answer the shared system prompt is still there', async () => {
    const system = { role: 'system' as const, content: words('be good and kind to the user. '.repeat(25)) };
    const about = (text: string) =>
      ask([], { messages: [system, { role: 'user', content: words(text.repeat(100)) }], maxTokens: 20, judge });
    await generate(about('one thing '));
    const { usage } = await generate(about('something else '));
    expect(usage.cachedTokens).toBeGreaterThan(usage.promptTokens * 0.25);
  });

  test('text that is not well-formed Unicode is answered', async () => {
    const answer = await generate(ask(words('a\ud800b\u0000c'), { stop: ['\udfff'] }));
    expect(answer.usage.completionTokens).toBeGreaterThan(0);
  });

  test('a schema out of all proportion is refused', async () => {
    const nested: Record<string, unknown> = {};
    let inner = nested;
    for (let depth = 0; depth < 3_000; depth += 1) inner = inner.items = { type: 'array' };
    const error = await failure(generate(ask(words('x'), { format: { type: 'json_schema', schema: nested } })));
    expect(error.code).toBe('bad_request');
    expect(error.message).toMatch(/nested/);
  });

  test('a prompt many times too long is refused at once', async () => {
    const before = performance.now();
    expect((await failure(generate(ask(words('x'.repeat(20_000_000)))))).code).toBe('context_overflow');
    expect(performance.now() - before).toBeLessThan(2_000);
  });

  test('with tools and a schema the answer is a call or keeps to the schema', async () => {
    const tools = [{ name: 'lamp', parameters: { type: 'object', properties: {} } }];
    const schema = { enum: ['on', 'off'] };
    const answer = await generate(ask(words('x'), { tools, format: { type: 'json_schema', schema }, maxTokens: 200 }));
    expect(['on', 'off']).toContain(JSON.parse(answer.text));
  });

  test('connections outlive the server keeping them for a few seconds and a hundred requests', async () => {
    for (let count = 0; count < 120; count += 1) await generate(ask(words('x'), { maxTokens: 1 }));
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    await generate(ask(words('x')));
  });
});
