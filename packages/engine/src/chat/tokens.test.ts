import fc from 'fast-check';
import { getLlama, LlamaLogLevel, type LlamaModel } from 'node-llama-cpp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeModel } from '../gguf/index.ts';
import type { Message } from '../port.ts';
import { renderPrompt } from './index.ts';

/** The guard against llama.cpp's own tokenizer, with the vocabulary and template of the test model. */
const description = describeModel(new URL('../../../../models/test/text.gguf', import.meta.url).pathname);
const control = new Set(description.controlTokenIds.values());

let model: LlamaModel;
beforeAll(async () => {
  const llama = await getLlama({ gpu: false, build: 'never', maxThreads: 1, logLevel: LlamaLogLevel.error });
  model = await llama.loadModel({ modelPath: description.path, vocabOnly: true });
});
afterAll(async () => {
  await model.dispose();
});

function controlTokens(text: string): number[] {
  const say = (role: Message['role']): Message => ({ role, content: [{ type: 'text', text: `x${text}` }] });
  const { prompt } = renderPrompt(
    description.chatTemplate ?? '',
    {
      messages: [say('system'), say('user'), say('assistant'), say('user')],
      tools: [
        {
          name: 'f',
          description: `x${text}`,
          parameters: { type: 'object', properties: { a: { type: 'string', description: `x${text}` } } },
        },
      ],
    },
    { mediaMarker: '<__media__>', controlTokens: description.controlTokens },
  );
  return model.tokenize(prompt, true).filter((token) => control.has(token));
}

it('no text of a user becomes a control token', () => {
  const plain = controlTokens('plain');
  expect(plain.length).toBeGreaterThan(5);
  const hostile = fc
    .array(
      fc.oneof(
        fc.constantFrom(...description.controlTokens, '<', '|', '>', '<|', 'turn|>'),
        fc.string({ maxLength: 4 }),
      ),
      {
        maxLength: 6,
      },
    )
    .map((parts) => parts.join(''));
  // Text before any guard does what it must not: the property below could fail.
  expect(model.tokenize('<|turn>', true)).toEqual([description.controlTokenIds.get('<|turn>')]);
  fc.assert(
    fc.property(hostile, (text) => {
      expect(controlTokens(text)).toEqual(plain);
    }),
    { numRuns: 200 },
  );
});
