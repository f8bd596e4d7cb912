import { RequestError } from '@batchmill/contract';
import { EngineError, type GenerateRequest, type Generation } from '@batchmill/engine';
import type { SpeechChunk } from '@batchmill/media';
import { describe, expect, it } from 'vitest';
import { answer } from '../test-context.ts';
import { HeardChunk, type HearOptions, hearChunk } from './hear-chunk.ts';
import { chunk, hears } from './test-transcription.ts';

const options: HearOptions = { instruction: 'Write it down.', temperature: 0, maxTokens: null, logprobs: false };

/** Hears with an engine that gives these answers, one after the other. */
async function hear(
  what: SpeechChunk,
  answers: (Generation | Error)[],
  changes: Partial<HearOptions> = {},
  signal = new AbortController().signal,
) {
  const asked: GenerateRequest[] = [];
  const heard = await hearChunk(
    what,
    1.5,
    { ...options, ...changes },
    async (request) => {
      const next = answers[asked.push(request) - 1];
      if (next === undefined) throw new Error('asked too often');
      if (next instanceof Error) throw next;
      return next;
    },
    signal,
  );
  // As the worker keeps it.
  expect(HeardChunk.parse(JSON.parse(JSON.stringify(heard)))).toEqual(heard);
  return { heard, asked };
}

const loop = 'and so on '.repeat(40);

describe('a chunk', () => {
  it('is one greedy call, the recording first', async () => {
    const what = chunk(2, 12, 'x', { index: 3, channel: 1, speechSeconds: 9 });
    const { heard, asked } = await hear(what, [answer(' Good\n morning. ')]);
    expect(heard).toEqual({
      channel: 1,
      index: 3,
      start: 2,
      end: 12,
      speechSeconds: 9,
      advance: 1.5,
      text: 'Good morning.',
      temperature: 0,
      logprob: null,
      repeated: false,
      truncated: false,
      dropped: false,
      usage: {
        input_tokens: 100,
        input_tokens_details: { cached_tokens: 1 },
        output_tokens: 10,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: 110,
      },
      error: null,
    });
    expect(asked).toEqual([
      {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'audio', data: what.data },
              { type: 'text', text: 'Write it down.' },
            ],
          },
        ],
        thinking: false,
        sampling: { temperature: 0, topP: 0.95, topK: 1, seed: 3 },
        maxTokens: 300,
        stop: [],
        format: { type: 'text' },
      },
    ]);
  });

  it('is asked for as the request says', async () => {
    const { heard, asked } = await hear(
      chunk(0, 1, 'x'),
      [
        answer('Hi', {
          finishReason: 'length',
          logprobs: [-0.5, -1].map((logprob) => ({ token: 'x', logprob, bytes: [], top: [] })),
        }),
      ],
      { temperature: 0.2, maxTokens: 7, logprobs: true },
    );
    expect(asked[0]).toMatchObject({ sampling: { temperature: 0.2, topK: 64 }, maxTokens: 7, logprobs: 0 });
    expect(heard).toMatchObject({ temperature: 0.2, logprob: -0.75, truncated: true });
    expect((await hear(chunk(0, 1, 'x'), [answer('Hi')])).asked[0]?.maxTokens).toBe(64);
  });

  it('that comes out as a loop is heard once more, with other sampling', async () => {
    const { heard, asked } = await hear(chunk(0, 20, 'x'), [answer(loop), answer('And so on, he said.')]);
    expect(asked).toHaveLength(2);
    expect(asked[1]).toMatchObject({ sampling: { temperature: 0.4, topK: 64, repetitionPenalty: 1.1 } });
    expect(heard).toMatchObject({ text: 'And so on, he said.', repeated: false, temperature: 0.4 });
    expect(heard.usage.total_tokens).toBe(220);
  });

  it('that stays a loop has it once, and says so', async () => {
    const { heard } = await hear(chunk(0, 20, 'x'), [
      answer(`Well, ${loop}`, { finishReason: 'length' }),
      answer(loop),
    ]);
    expect(heard).toMatchObject({ text: 'Well, and so on', repeated: true, truncated: true, temperature: 0 });
    expect(heard.usage.total_tokens).toBe(220);
  });

  it('that repeats itself in no exact loop is kept as it is if it stays so', async () => {
    const lines = Array.from({ length: 15 }, (_, i) => `We are now at the number ${i}.`).join(' ');
    const { heard, asked } = await hear(chunk(0, 28, 'x'), [answer(lines), answer(lines)]);
    expect(asked).toHaveLength(2);
    expect(heard).toMatchObject({ text: lines, repeated: false });
  });

  it('of silence has no text, however much was written', async () => {
    const silent = chunk(0, 10, 'x', { speechSeconds: 0.1 });
    for (const text of ['Thank you for watching!', loop]) {
      const { heard, asked } = await hear(silent, [answer(text)]);
      expect(heard).toMatchObject({ text: '', dropped: true });
      expect(asked).toHaveLength(1);
    }
    expect((await hear(silent, [answer('Oh.')])).heard).toMatchObject({ text: 'Oh.', dropped: false });
  });

  it('has no more text than can be said in the time', async () => {
    const words = Array.from({ length: 40 }, (_, i) => `word${i * i}`).join(' ');
    const two = chunk(0, 10, 'x', { speechSeconds: 2 });
    expect((await hear(two, [answer(words)])).heard).toMatchObject({ text: '', dropped: true });
    expect((await hear(two, [answer(words.slice(0, 60))])).heard).toMatchObject({
      text: words.slice(0, 60),
      dropped: false,
    });
    // A second attempt that runs wild is no better than a loop.
    expect((await hear(two, [answer('oh no '.repeat(20)), answer(words)])).heard).toMatchObject({
      text: 'oh no',
      repeated: true,
    });
  });

  it('that fails alone is a value', async () => {
    const crash = new RequestError(500, 'The engine crashed on this item, twice.', { code: 'engine_crash' });
    expect((await hear(chunk(0, 1, 'x'), [crash])).heard).toMatchObject({
      text: '',
      error: { status: 500, code: 'engine_crash', message: 'The engine crashed on this item, twice.' },
    });
    for (const [code, error] of [
      ['bad_media', 'invalid_media'],
      ['context_overflow', 'context_length_exceeded'],
    ] as const)
      expect((await hear(chunk(0, 1, 'x'), [new EngineError(code, 'no')])).heard.error).toEqual({
        status: 400,
        code: error,
        message: 'no',
      });
  });

  it('that fails for what may pass, or for a bug, is thrown', async () => {
    for (const error of [
      new EngineError('engine_failed', 'busy'),
      new EngineError('unsupported', 'deaf'),
      new TypeError('bug'),
    ])
      await expect(hear(chunk(0, 1, 'x'), [error])).rejects.toBe(error);
  });

  it('is not heard when it is not wanted any more', async () => {
    const reason = new RequestError(504, 'too long', { code: 'item_timeout' });
    const stop = new AbortController();
    const running = hearChunk(
      chunk(0, 1, 'x'),
      0,
      options,
      async (request) => {
        stop.abort(reason);
        await hears(request);
        throw new RequestError(500, 'stopped');
      },
      stop.signal,
    );
    await expect(running).rejects.toBe(reason);
  });
});
