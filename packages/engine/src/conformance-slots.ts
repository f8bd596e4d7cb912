import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { ask, busy, codes, endless, type Features, failure, never } from './conformance-calls.ts';
import type { Engine, GenerateRequest } from './port.ts';

/** What the port promises of calls side by side: part of `engineConformance`. */
export function slotsConformance(engine: () => Engine, features: Features): void {
  const generate = (request: GenerateRequest) => engine().generate(request, never());
  describe('slots', () => {
    test('work side by side', async () => {
      const order: string[] = [];
      const long = generate(ask('a', { maxTokens: 600, ...endless(features) })).then(() => order.push('long'));
      const short = generate(ask('b', { maxTokens: 3 })).then(() => order.push('short'));
      await Promise.all([long, short]);
      expect(order).toEqual(['short', 'long']);
    });

    test('more calls than slots wait and are all answered', async () => {
      const texts = Array.from({ length: engine().capabilities.slots * 3 }, (_, at) => `number ${at}`);
      const answers = await Promise.all(texts.map((text) => generate(ask(text, { maxTokens: 20 }))));
      const alone = await generate(ask('number 3', { maxTokens: 20 }));
      expect(answers[3]?.text).toBe(alone.text);
    });

    test('a cancelled call frees its slot', async () => {
      const controller = new AbortController();
      const calls = busy(engine(), features, controller.signal);
      await sleep(200);
      const before = performance.now();
      controller.abort();
      expect(await codes(calls)).toEqual(calls.map(() => 'aborted'));
      // The calls had thousands of tokens to go.
      await Promise.all(calls.map(() => generate(ask('next', { maxTokens: 3 }))));
      expect(performance.now() - before).toBeLessThan(2_500);
    });

    test('a call may be cancelled while it waits', async () => {
      const running = new AbortController();
      const calls = busy(engine(), features, running.signal);
      // Till they are in their slots: the one that comes late must not overtake them.
      await sleep(100);
      const waiting = new AbortController();
      const late = failure(engine().generate(ask('late'), waiting.signal));
      await sleep(20);
      waiting.abort();
      expect((await late).code).toBe('aborted');
      running.abort();
      await codes(calls);
      expect((await failure(engine().generate(ask('never'), AbortSignal.abort()))).code).toBe('aborted');
    });
  });
}
