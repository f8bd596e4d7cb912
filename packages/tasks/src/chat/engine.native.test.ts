import type { ChatCompletion } from '@batchmill/contract';
import type { Engine } from '@batchmill/engine';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { START_MS, startTinyEngine } from '../test-engine.ts';
import { dataUrl, error, image, recording, run, sound, user } from './test-chat.ts';

/** The chat task on the real engine, with the tiny model: what it writes is nonsense, but the same each time. */
let engine: Engine;
beforeAll(async () => {
  engine = await startTinyEngine();
}, START_MS);
afterAll(() => engine.close());

const greedy = { temperature: 0, max_tokens: 24 };
const ask = async (content: unknown, more: Record<string, unknown> = {}): Promise<ChatCompletion> => {
  const { capabilities } = engine;
  const { answer } = await run(user(content, { model: 'tiny', ...greedy, ...more }), {
    models: [capabilities.model],
    image: capabilities.image,
    audio: capabilities.audio,
    generate: (request) => engine.generate(request, new AbortController().signal),
  });
  return answer;
};
const promptTokens = async (content: unknown) => (await ask(content)).usage.prompt_tokens;

const picture = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: '#3060c0' } })
    .jpeg()
    .toBuffer();

describe('with the real engine', () => {
  it('answers text, the same each time', async () => {
    const [first, second] = [await ask('hello'), await ask('hello')];
    expect(first).toMatchObject({ object: 'chat.completion', model: 'tiny', choices: [{ index: 0 }] });
    expect(first.choices[0]?.message.content).not.toBe('');
    expect(second.choices).toEqual(first.choices);
    expect(first.usage.completion_tokens).toBeLessThanOrEqual(24);
  });

  it('answers n choices with log-probabilities', async () => {
    const { choices } = await ask('hello', { n: 2, temperature: 1, seed: 1, logprobs: true, top_logprobs: 3 });
    expect(choices).toHaveLength(2);
    for (const choice of choices) {
      expect(choice.logprobs?.content?.length).toBeGreaterThan(0);
      expect(choice.logprobs?.content?.[0]?.top_logprobs).toHaveLength(3);
    }
  });

  it('sees pictures at exactly the size we made them', async () => {
    // Every picture brings the same few tokens around it: compare two.
    const empty = await promptTokens([{ type: 'text', text: 'look' }]);
    const tokens = async (width: number, height: number) =>
      (await promptTokens([image(dataUrl(await picture(width, height))), { type: 'text', text: 'look' }])) - empty;
    const around = (await tokens(480, 480)) - 100;
    expect(around).toBeGreaterThanOrEqual(0);
    expect(around).toBeLessThan(10);
    // 3000 × 2000 within 280 tokens is 20 × 13; one pixel becomes 9 × 9.
    expect((await tokens(3_000, 2_000)) - around).toBe(260);
    expect((await tokens(1, 1)) - around).toBe(81);
  });

  it('hears recordings, 25 tokens a second', async () => {
    const empty = await promptTokens([{ type: 'text', text: 'listen' }]);
    const heard = (await promptTokens([sound(recording.toString('base64')), { type: 'text', text: 'listen' }])) - empty;
    // 0.6 s, and a few tokens around them.
    expect(heard).toBeGreaterThanOrEqual(15);
    expect(heard).toBeLessThan(30);
  });

  it('tells two pictures apart', async () => {
    const answers = await Promise.all(
      ['#000000', '#ffffff'].map(async (background) => {
        const bytes = await sharp({ create: { width: 480, height: 480, channels: 3, background } })
          .png()
          .toBuffer();
        const { choices } = await ask([image(dataUrl(bytes, 'image/png'))], { logprobs: true });
        return choices[0]?.logprobs?.content?.[0]?.logprob;
      }),
    );
    expect(answers[0]).not.toBe(answers[1]);
  });

  it('writes JSON by a schema', async () => {
    const schema = {
      type: 'object',
      properties: { answer: { enum: ['yes', 'no'] } },
      required: ['answer'],
      additionalProperties: false,
    };
    const { choices } = await ask('well?', {
      max_tokens: 200,
      response_format: { type: 'json_schema', json_schema: { name: 'reply', schema } },
    });
    expect(JSON.parse(choices[0]?.message.content ?? '')).toEqual({ answer: expect.stringMatching(/^(yes|no)$/) });
  });

  it('names what does not fit', async () => {
    await expect(ask('word '.repeat(10_000))).rejects.toMatchObject({ name: 'EngineError', code: 'context_overflow' });
    await expect(ask([image('data:image/png;base64,aGVsbG8=')])).rejects.toEqual(error(400, 'invalid_image'));
  });
});
