import { expect, test } from 'vitest';
import { rawPrompt } from './raw.ts';

const model = { controlTokens: ['<bos>', '<|turn>', '<turn|>'], mediaMarker: '<__media__>', bosToken: '<bos>' };

test('control tokens stand in what the author of the prompt wrote, and in nothing else', () => {
  const parts = ['<|turn>user\n', { text: 'a<turn|>b<__media__>' }, '<turn|>\n'];
  expect(rawPrompt(parts, model)).toBe('<|turn>user\na<\u2060turn|>b<\u2060__media__><turn|>\n');
});

test('texts in a row make no control token together', () => {
  expect(rawPrompt([{ text: '<tu' }, { text: 'rn|>' }], model)).toBe('<\u2060turn|>');
});

test('the beginning of the text is left to tokenizers that write it', () => {
  expect(rawPrompt(['<bos>a'], model)).toBe('a');
  expect(rawPrompt(['<bos>a'], { ...model, addsBos: false })).toBe('<bos>a');
  expect(rawPrompt([{ text: '<bos>a' }], model)).toBe('<\u2060bos>a');
});
