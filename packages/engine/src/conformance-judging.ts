import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { ask, busy, codes, endless, type Features, failure, fillsContext, never } from './conformance-calls.ts';
import type { Engine, GenerateRequest } from './port.ts';
import { png } from './samples.ts';

/** What the port promises of `judge`: part of `engineConformance`. */
export function judgingConformance(engine: () => Engine, features: Features): void {
  const judge = { question: 'Is that safe?', safe: 'yes', unsafe: 'no' };
  const generate = (request: GenerateRequest) => engine().generate(request, never());
  /** Longer than any sliding window, answered at length. */
  const long = (about: string) =>
    ask(`${about} ${'the user and the model '.repeat(120)}`, { maxTokens: 80, ...endless(features) });

  /** Nothing before the question was computed again, but for the answer's last token, which no cache has yet. */
  function wasCached({ usage, judging }: Awaited<ReturnType<typeof generate>>): void {
    expect(judging?.cachedTokens).toBeGreaterThanOrEqual(usage.promptTokens + usage.completionTokens - 2);
    expect((judging?.promptTokens ?? 0) - (judging?.cachedTokens ?? 0)).toBeLessThan(100);
  }

  describe('an answer judged by the model itself', () => {
    test('is the same as without, and so is its usage; the verdict is the same each time', async () => {
      for (const request of [ask('hello', { maxTokens: 40 }), ask('hello', { maxTokens: 9, ...endless(features) })]) {
        // How fast it was is never the same.
        const { usage, pace: _pace, ...bare } = await generate(request);
        const judged = await generate({ ...request, judge });
        const { cachedTokens: _, ...counts } = usage;
        expect(judged).toMatchObject({ ...bare, usage: counts });
        expect(bare.unsafe).toBeUndefined();
        expect(judged.unsafe).toBeGreaterThan(0);
        expect(judged.unsafe).toBeLessThan(1);
        const again = await generate({ ...request, judge });
        expect(again.unsafe).toBeCloseTo(judged.unsafe ?? -1, 3);
      }
    });

    test('the verdict depends on answer, question and conversation, and on which of the two is meant', async () => {
      const verdict = async (text: string, maxTokens: number, asked = judge) =>
        (await generate({ ...ask(text, { maxTokens, ...endless(features) }), judge: asked })).unsafe ?? -1;
      const first = await verdict('hello', 10);
      const others = [
        await verdict('hello', 30),
        await verdict('good morning to the user', 10),
        await verdict('hello', 10, { ...judge, question: 'Was that good or bad of you?' }),
      ];
      for (const other of others) expect(Math.abs(other - first)).toBeGreaterThan(1e-6);
      const swapped = await verdict('hello', 10, { ...judge, safe: judge.unsafe, unsafe: judge.safe });
      expect(swapped).toBeCloseTo(1 - first, 3);
    });

    test('only the question is computed', async () => {
      wasCached(await generate({ ...long('once'), judge }));
    });

    test('also while other calls, judged and not, wait for its slot', async () => {
      const texts = Array.from({ length: engine().capabilities.slots * 2 }, (_, at) => `number ${at}`);
      const others = texts.map((text) => generate(ask(text, { maxTokens: 40 })));
      const judged = await Promise.all(texts.map((text) => generate({ ...long(text), judge })));
      for (const answer of judged) wasCached(answer);
      await Promise.all(others);
      const alone = await generate({ ...long('number 3'), judge });
      expect(alone.text).toBe(judged[3]?.text);
      expect(judged[3]?.unsafe).toBeCloseTo(alone.unsafe ?? -1, 2);
    });

    test('reasoning and tool calls are judged with it', async () => {
      const tools = [{ name: 'lamp', parameters: { type: 'object', properties: {} } }];
      const calls = [
        ask('hello', {
          thinking: true,
          format: { type: 'json_schema', schema: { enum: ['on', 'off'] } },
          maxTokens: 900,
        }),
        ask('hello', { tools, toolChoice: { name: 'lamp' }, maxTokens: 20 }),
        ask('hello', { thinking: true, stop: ['e'], maxTokens: 5 }),
      ];
      for (const request of calls) {
        const answer = await generate({ ...request, judge });
        expect(answer.unsafe).toBeGreaterThan(0);
        expect(answer.judging?.promptTokens).toBeGreaterThan(answer.usage.promptTokens + answer.usage.completionTokens);
      }
    });

    test('that leaves no room for the question is judged all the same', async () => {
      const answer = await generate({ ...(await fillsContext(engine(), features)), judge });
      expect(answer.finishReason).toBe('length');
      expect(answer.unsafe).toBeGreaterThan(0);
      expect(answer.unsafe).toBeLessThan(1);
    });

    test('verdicts that begin alike are refused', async () => {
      const asked = { ...judge, safe: '}', unsafe: '}}' };
      expect((await failure(generate({ ...ask('hello', { maxTokens: 3 }), judge: asked }))).code).toBe('bad_request');
    });

    test('can be cancelled', async () => {
      const running = new AbortController();
      const calls = busy(engine(), features, running.signal);
      const waiting = new AbortController();
      const late = failure(engine().generate({ ...ask('late'), judge }, waiting.signal));
      await sleep(20);
      waiting.abort();
      expect((await late).code).toBe('aborted');
      running.abort();
      await codes(calls);
    });

    if (features.image) {
      test('that is about a picture: the picture is not looked at again', async () => {
        const picture = { type: 'image' as const, data: png(64, 48, () => [255, 0, 0]) };
        const text = { type: 'text' as const, text: 'the user and the model '.repeat(120) };
        const request = ask([picture, text], { maxTokens: 30, ...endless(features) });
        const answer = await generate({ ...request, judge });
        expect(answer.text).toBe((await generate(request)).text);
        expect(answer.judging?.cachedTokens).toBeGreaterThanOrEqual(answer.usage.promptTokens - 1);
      });
    }
  });
}
