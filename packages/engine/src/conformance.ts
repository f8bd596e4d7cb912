import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ask,
  busy,
  codes,
  endless,
  type Features,
  failure,
  fillsContext,
  forced,
  GREEDY,
  never,
  testIf,
} from './conformance-calls.ts';
import { judgingConformance } from './conformance-judging.ts';
import { mediaConformance } from './conformance-media.ts';
import { slotsConformance } from './conformance-slots.ts';
import { DEFAULT_SAMPLING, type Engine, EngineError, type GenerateRequest, type PromptPart } from './port.ts';

/** For the tests that watch the engine's process die. */
export type StartedEngine = Engine & { readonly pid: number };

/**
 * What the port promises, for every adapter. The model must answer greedily with readable text, and have two slots or more.
 * @param start a new engine, ready.
 */
export function engineConformance(name: string, start: () => Promise<StartedEngine>, features: Features): void {
  describe(`${name}: the engine port`, () => {
    let engine: StartedEngine;
    beforeAll(async () => {
      engine = await start();
    });
    afterAll(async () => {
      await engine.close();
    });
    const generate = (request: GenerateRequest) => engine.generate(request, never());

    test('says what it can do', () => {
      expect(engine.capabilities.slots).toBeGreaterThanOrEqual(2);
      expect(engine.capabilities.contextTokens).toBeGreaterThanOrEqual(2_048);
      const { image, audio, logprobs, jsonSchema } = engine.capabilities;
      expect({ image, audio, logprobs, jsonSchema }).toEqual({
        image: features.image,
        audio: features.audio,
        logprobs: features.logprobs,
        jsonSchema: features.jsonSchema,
      });
    });

    test('is healthy', () => engine.health());

    describe('sampling', () => {
      test('a greedy answer is the same each time, also while other slots work', async () => {
        const request = ask('the user and the model', { maxTokens: 60 });
        const first = await generate(request);
        expect(first.text).not.toBe('');
        expect((await generate(request)).text).toBe(first.text);
        const others = ['one', 'another', 'hello there'].map((text) => generate(ask(text, { maxTokens: 200 })));
        expect((await generate(request)).text).toBe(first.text);
        await Promise.all(others);
      });

      test('a greedy answer depends on the prompt', async () => {
        const [a, b] = await Promise.all([generate(ask('the user')), generate(ask('a long road in the hills'))]);
        expect(a.text).not.toBe(b.text);
      });

      test('the seed decides', async () => {
        const seeded = (seed: number) =>
          generate(ask('hello', { sampling: { ...DEFAULT_SAMPLING, seed }, maxTokens: 40 }));
        const [one, again, other] = await Promise.all([seeded(7), seeded(7), seeded(8)]);
        expect(again.text).toBe(one.text);
        expect(other.text).not.toBe(one.text);
      });

      test('a forbidden token does not come', async () => {
        const free = await generate(ask('hello', { maxTokens: 8, ...forced(features.closingBrace) }));
        expect(free.text).toBe('}}}}}}}}');
        const logitBias = { [features.closingBrace]: -100 };
        const request = ask('hello', { maxTokens: 200, sampling: { ...GREEDY, logitBias } });
        expect((await generate(request)).text).not.toContain('}');
      });
    });

    describe('where an answer ends', () => {
      test('at the token limit', async () => {
        const answer = await generate(ask('hello', { maxTokens: 5, ...endless(features) }));
        expect(answer.finishReason).toBe('length');
        expect(answer.usage.completionTokens).toBe(5);
      });

      test('before a stop text', async () => {
        const { text } = await generate(ask('hello', { maxTokens: 40, ...endless(features) }));
        const stop = text.slice(12, 15);
        const answer = await generate(ask('hello', { maxTokens: 40, stop: [stop], ...endless(features) }));
        expect(answer.text).toBe(text.slice(0, text.indexOf(stop)));
        expect(answer.finishReason).toBe('stop');
      });

      test('at the end of the context, without a limit', async () => {
        const request = await fillsContext(engine, features);
        const answer = await generate(request);
        const { promptTokens, completionTokens } = answer.usage;
        expect(answer.finishReason).toBe('length');
        expect(promptTokens + completionTokens).toBeGreaterThan(engine.capabilities.contextTokens - 3);
        expect(promptTokens + completionTokens).toBeLessThanOrEqual(engine.capabilities.contextTokens + 1);
      });

      test('where the model ends it', async () => {
        const bias = { [features.endTokens[0] ?? 0]: 100 };
        const answer = await generate(ask('hello', { sampling: { ...GREEDY, logitBias: bias } }));
        expect(answer.finishReason).toBe('stop');
        expect(answer.text).toBe('');
      });
    });

    test('usage counts', async () => {
      const short = await generate(ask('the', { maxTokens: 3, ...endless(features) }));
      const long = await generate(ask('the '.repeat(100), { maxTokens: 3, ...endless(features) }));
      expect(long.usage.promptTokens - short.usage.promptTokens).toBeGreaterThanOrEqual(99);
      for (const { usage } of [short, long]) {
        expect(usage.completionTokens).toBe(3);
        expect(usage.reasoningTokens).toBe(0);
        expect(usage.cachedTokens).toBeGreaterThanOrEqual(0);
        expect(usage.cachedTokens).toBeLessThanOrEqual(usage.promptTokens);
      }
    });

    test('control tokens in what people write are text', async () => {
      const length = async (text: string) => (await generate(ask(text, { maxTokens: 1 }))).usage.promptTokens;
      const plain = await length('ab');
      for (const token of features.controlTokens) {
        // As a control token it would be one.
        expect(await length(`a${token}b`), token).toBeGreaterThan(plain + 1);
      }
    });

    describe('structured answers', () => {
      const schema = {
        type: 'object',
        properties: { count: { type: 'integer' }, kind: { enum: ['red', 'blue'] } },
        required: ['count', 'kind'],
        additionalProperties: false,
      };

      testIf(features.jsonSchema)('a JSON schema is kept to', async () => {
        const seeds = [1, 2, 3, 4].map((seed) => ({ ...DEFAULT_SAMPLING, seed, temperature: 0.3 }));
        const format = { type: 'json_schema', schema } as const;
        const answers = await Promise.all(
          seeds.map((sampling) => generate(ask('hello', { format, sampling, maxTokens: 400 }))),
        );
        for (const { text, finishReason } of answers) {
          // Random weights may write digits without end; what ended is whole.
          if (finishReason === 'length') continue;
          const value: { count: number; kind: string } = JSON.parse(text);
          expect(Object.keys(value).sort()).toEqual(['count', 'kind']);
          expect(Number.isInteger(value.count)).toBe(true);
          expect(['red', 'blue']).toContain(value.kind);
        }
        expect(answers.some(({ finishReason }) => finishReason === 'stop')).toBe(true);
      });

      testIf(features.jsonSchema)('a schema binds the answer, not the reasoning before it', async () => {
        const format = { type: 'json_schema', schema: { enum: ['yes', 'no'] } } as const;
        const answer = await generate(ask('hello', { format, thinking: true, maxTokens: 2_000 }));
        expect(['yes', 'no']).toContain(JSON.parse(answer.text));
        expect(answer.finishReason).toBe('stop');
        expect(answer.usage.reasoningTokens).toBeGreaterThan(0);
        expect(answer.usage.reasoningTokens).toBeLessThan(answer.usage.completionTokens);
      });

      testIf(features.jsonSchema)('a schema that is none is refused', async () => {
        const request = ask('hello', { format: { type: 'json_schema', schema: { type: 'nonsense' } } });
        expect((await failure(generate(request))).code).toBe('bad_request');
      });

      test('a required tool call is made', async () => {
        const tools = [{ name: 'lamp', description: 'Switches it.', parameters: { type: 'object', properties: {} } }];
        const request = ask('hello', {
          tools,
          toolChoice: { name: 'lamp' },
          maxTokens: 1,
          ...forced(features.closingBrace),
        });
        const answer = await generate(request);
        expect(answer.toolCalls).toEqual([{ id: expect.stringMatching(/\S/), name: 'lamp', arguments: '{}' }]);
        expect(answer.text).toBe('');
      });
    });

    testIf(features.logprobs)('log probabilities', async () => {
      const answer = await generate(ask('hello', { maxTokens: 6, logprobs: 3, ...endless(features) }));
      const logprobs = answer.logprobs ?? [];
      expect(logprobs).toHaveLength(6);
      expect(logprobs.map(({ token }) => token).join('')).toBe(answer.text);
      for (const { token, logprob, bytes, top } of logprobs) {
        expect(Buffer.from(bytes).toString()).toBe(token);
        expect(top).toHaveLength(3);
        expect(logprob).toBeLessThanOrEqual(0);
        const probabilities = top.map((other) => Math.exp(other.logprob));
        expect(probabilities).toEqual(probabilities.toSorted((a, b) => b - a));
        expect(probabilities.reduce((sum, p) => sum + p, 0)).toBeLessThanOrEqual(1.0001);
      }
      const bare = await generate(ask('hello', { maxTokens: 6, logprobs: 0, ...endless(features) }));
      expect(bare.logprobs?.map(({ top }) => top)).toEqual([[], [], [], [], [], []]);
      expect((await generate(ask('hello', { maxTokens: 1 }))).logprobs).toBeNull();
    });

    testIf(features.classify)('classification gives probabilities of the next token', async () => {
      const { messages } = ask('hello');
      const candidates = ['yes', 'no', 'the', '}'];
      const classify = (prefix?: string) =>
        engine.classify?.({ messages, candidates, ...(prefix === undefined ? {} : { prefix }) }, never());
      const result = await classify();
      expect(Object.keys(result ?? {})).toEqual(candidates);
      const values = Object.values(result ?? {});
      expect(values.every((p) => p >= 0 && p <= 1)).toBe(true);
      expect(values.some((p) => p > 0)).toBe(true);
      expect(values.reduce((sum, p) => sum + p, 0)).toBeLessThanOrEqual(1.0001);
      expect(await classify()).toEqual(result);
      expect(await classify('Safety: ')).not.toEqual(result);
    });

    testIf(features.classify)('classification tells candidates apart that begin alike', async () => {
      const { messages } = ask('hello');
      const classify = async (...candidates: string[]) =>
        Object.values((await engine.classify?.({ messages, candidates }, never())) ?? {});
      const [all = Number.NaN] = await classify('}');
      const parts = await classify('}', '}}', '}a');
      expect(all).toBeGreaterThan(0);
      expect(parts.every((p) => p >= 0)).toBe(true);
      expect(parts.reduce((sum, p) => sum + p, 0)).toBeCloseTo(all, 4);
    });

    testIf(features.classify)('classification after a prompt as it stands', async () => {
      // What is in the cache already moves the last digits.
      const classify = async (...prompt: PromptPart[]) =>
        (await engine.classify?.({ prompt, candidates: ['}'] }, never()))?.['}'] ?? Number.NaN;
      for (const token of features.controlTokens) {
        const ours = await classify('Is it?', token, 'It is');
        expect(await classify(`Is it?${token}It is`), token).toBeCloseTo(ours, 5);
        const theirs = await classify('Is it?', { text: token }, 'It is');
        expect(Math.abs(theirs - ours), token).toBeGreaterThan(1e-4);
        expect(await classify({ text: `Is it?${token}` }, 'It is'), token).toBeCloseTo(theirs, 5);
      }
    });

    judgingConformance(() => engine, features);

    mediaConformance(() => engine, features);

    test('a prompt longer than the context is refused with both counts', async () => {
      const { contextTokens } = engine.capabilities;
      const error = await failure(generate(ask('a b '.repeat(contextTokens))));
      expect(error.code).toBe('context_overflow');
      expect(error.message).toContain(String(contextTokens));
      expect(Number(/\d{4,}/.exec(error.message)?.[0])).toBeGreaterThan(contextTokens);
    });

    slotsConformance(() => engine, features);

    describe('the end', () => {
      test('killed: pending calls fail with engine_died, then `ended` says how', async () => {
        const doomed = await start();
        const calls = busy(doomed, features, never());
        const order: string[] = [];
        void Promise.allSettled(calls).then(() => order.push('calls'));
        void doomed.ended.then(() => order.push('ended'));
        await sleep(200);
        process.kill(doomed.pid, 'SIGKILL');
        expect(await doomed.ended).toMatchObject({ signal: 'SIGKILL', code: null });
        expect(await codes(calls)).toEqual(calls.map(() => 'engine_died'));
        expect(order).toEqual(['calls', 'ended']);
        expect((await failure(doomed.generate(ask('hello'), never()))).code).toBe('engine_died');
        await expect(doomed.health()).rejects.toBeInstanceOf(EngineError);
        await doomed.close();
      });

      test('closed: pending calls fail with engine_died, the process is gone, and closing again is fine', async () => {
        const closed = await start();
        const calls = busy(closed, features, never());
        await sleep(100);
        await Promise.all([closed.close(), closed.close()]);
        expect(await codes(calls)).toEqual(calls.map(() => 'engine_died'));
        expect(await closed.ended).toBeNull();
        expect(() => process.kill(closed.pid, 0)).toThrow('ESRCH');
        await closed.close();
      });
    });
  });
}
