import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Layout, TEST_PAIR, writeCombined } from '../../../../test/models/combined.ts';
import { ensureLlamaServer, type LlamaServerProgram, startLlamaServer } from '../llama-server/index.ts';
import { DEFAULT_SAMPLING, type Generation, type MessagePart } from '../port.ts';
import { png, wav } from '../samples.ts';
import { type ModelPair, splitModel, splitPaths } from './split.ts';

const PROMPTS: MessagePart[][] = [
  [{ type: 'text', text: 'the user and the model – ünï 漢' }],
  [
    { type: 'image', data: png(192, 144, (x, y) => [x, y, 90]) },
    { type: 'text', text: 'what' },
  ],
  [
    { type: 'image', data: png(192, 144, (x, y) => [255 - x, 0, y]) },
    { type: 'text', text: 'what' },
  ],
  [
    { type: 'audio', data: wav(1, 440) },
    { type: 'text', text: 'what' },
  ],
  [
    { type: 'audio', data: wav(1, 1_500) },
    { type: 'text', text: 'what' },
  ],
];

let folder: string;
let program: LlamaServerProgram;
let expected: Generation[];
// The first run on a machine builds llama-server.
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'split-engine-'));
  program = await ensureLlamaServer();
  expected = await answers(TEST_PAIR);
}, 600_000);
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** What the real engine says to each prompt, with the probabilities of its words. */
async function answers({ model, mmproj }: ModelPair): Promise<Generation[]> {
  const engine = await startLlamaServer({
    program: program.path,
    model,
    mmproj,
    name: 'tiny',
    slots: 1,
    contextTokens: 1_024,
    threads: 1,
    imageMinTokens: 4,
    imageMaxTokens: 64,
  });
  try {
    const given: Generation[] = [];
    for (const content of PROMPTS) {
      const request = {
        messages: [{ role: 'user' as const, content }],
        thinking: false,
        sampling: { ...DEFAULT_SAMPLING, temperature: 0 },
        maxTokens: 24,
        stop: [],
        format: { type: 'text' as const },
        logprobs: 2,
      };
      // How fast it was is never the same.
      const { pace: _, ...answer } = await engine.generate(request, new AbortController().signal);
      given.push(answer);
    }
    return given;
  } finally {
    await engine.close();
  }
}

test('the answers depend on what is asked, seen and heard', () => {
  expect(new Set(expected.map(({ text }) => text)).size).toBe(PROMPTS.length);
});

test.for<Layout>(['llama.cpp', 'ollama'])(
  'the parts of a file in the layout of %s answer as the model it was made of',
  async (layout) => {
    const path = join(folder, `${layout}.gguf`);
    await writeCombined(path, layout, { leftOver: true });
    const pair = splitPaths(path);
    await splitModel(path, pair);
    expect(await answers(pair)).toEqual(expected);
  },
);
