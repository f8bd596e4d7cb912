import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Template } from '@huggingface/jinja';
import { afterEach, expect, test } from 'vitest';
import { makeTestModel } from './make.ts';
import { random } from './random.ts';
import { vocabulary } from './vocabulary.ts';

let folder: string | null = null;
afterEach(() => {
  if (folder !== null) rmSync(folder, { recursive: true });
  folder = null;
});

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

test('the models in the repository are what this code writes', async () => {
  folder = mkdtempSync(join(tmpdir(), 'test-model-'));
  await makeTestModel({ size: 'tiny', out: join(folder, 'text.gguf'), mmproj: join(folder, 'mmproj.gguf') });
  for (const file of ['text.gguf', 'mmproj.gguf']) {
    const committed = readFileSync(here(`../../models/test/${file}`));
    expect(readFileSync(join(folder, file)).equals(committed), file).toBe(true);
  }
});

test('random numbers are spread as they should be', () => {
  const { normal, uint32 } = random(1);
  const values = Array.from({ length: 100_000 }, () => normal(2));
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  expect(Math.abs(mean)).toBeLessThan(0.03);
  expect(Math.abs(deviation - 2)).toBeLessThan(0.03);
  expect(new Set(Array.from({ length: 1_000 }, uint32)).size).toBe(1_000);
});

test.for([416, 32_768])('a vocabulary of %i tokens', (size) => {
  const words = vocabulary(size);
  expect(words.tokens).toHaveLength(size);
  expect(new Set(words.tokens).size).toBe(size);
  expect(words.id('<pad>')).toBe(0);
  // Every merge makes a token of two others.
  for (const merge of words.merges) {
    const [left = '', right = ''] = merge.split(' ');
    expect(() => [words.id(left), words.id(right), words.id(left + right)]).not.toThrow();
  }
});

const template = new Template(readFileSync(here('../../packages/engine/src/models/gemma4.jinja'), 'utf8'));
const render = (messages: unknown[], more: Record<string, unknown> = {}) =>
  template.render({ messages, bos_token: '<bos>', add_generation_prompt: true, ...more });

test('the chat template writes turns as Gemma 4 does', () => {
  const messages = [
    { role: 'system', content: ' Be brief. ' },
    { role: 'user', content: [{ type: 'image' }, { type: 'text', text: 'What?' }] },
    { role: 'assistant', content: 'A cat.' },
    { role: 'user', content: 'Sure?' },
  ];
  const turns =
    'Be brief.<turn|>\n<|turn>user\n<|image|>What?<turn|>\n<|turn>model\nA cat.<turn|>\n<|turn>user\nSure?<turn|>\n';
  expect(render(messages)).toBe(`<bos><|turn>system\n${turns}<|turn>model\n<|channel>thought\n<channel|>`);
  expect(render(messages, { enable_thinking: true })).toBe(`<bos><|turn>system\n<|think|>\n${turns}<|turn>model\n`);
  expect(render([{ role: 'user', content: 'x' }], { add_generation_prompt: false })).toBe(
    '<bos><|turn>user\nx<turn|>\n',
  );
});

test('and tools, calls and their results', () => {
  const parameters = {
    type: 'object',
    properties: { city: { type: 'string', description: 'Where' } },
    required: ['city'],
  };
  const tools = [{ type: 'function', function: { name: 'weather', description: 'Tells it.', parameters } }];
  const call = { id: 'c1', type: 'function', function: { name: 'weather', arguments: { city: 'Ulm', days: 2 } } };
  const messages = [
    { role: 'user', content: 'Rain?' },
    { role: 'assistant', content: '', tool_calls: [call] },
    { role: 'tool', tool_call_id: 'c1', content: 'dry' },
  ];
  expect(render(messages, { tools })).toBe(
    '<bos><|turn>system\n<|tool>declaration:weather{description:<|"|>Tells it.<|"|>,parameters:{properties:{city:' +
      '{description:<|"|>Where<|"|>,type:<|"|>STRING<|"|>}},required:[<|"|>city<|"|>],type:<|"|>OBJECT<|"|>}}<tool|>' +
      '<turn|>\n<|turn>user\nRain?<turn|>\n<|turn>model\n<|tool_call>call:weather{city:<|"|>Ulm<|"|>,days:2}<tool_call|>' +
      '<|tool_response>response:weather{value:<|"|>dry<|"|>}<tool_response|>',
  );
});
