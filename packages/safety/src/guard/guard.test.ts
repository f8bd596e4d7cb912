import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type ClassifyRequest, type Engine, startNodeLlamaCpp } from '@batchmill/engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FilterContext } from '../port.ts';
import { FORMATS, GUARD_FORMATS, guard } from './index.ts';

const context: FilterContext = {
  tenant: 't',
  batchId: 'b',
  customId: 'c',
  asked: [{ role: 'user', text: 'How do I do it?' }],
  selfVerdicts: [],
  signal: new AbortController().signal,
};
const inspect = async (
  engine: Pick<Engine, 'classify'>,
  format: (typeof GUARD_FORMATS)[number],
  text: string,
  window = 2_000,
) => (await guard({ engine, format, window }).inspect([{ id: 'a', text }], context))[0] ?? [];

/** Shows prompts and gives chances; the real model is below. */
function recorder(chances: (request: ClassifyRequest) => Record<string, number>) {
  const prompts: string[] = [];
  return {
    prompts,
    classify: async (request: ClassifyRequest) => {
      prompts.push((request.prompt ?? []).map((part) => (typeof part === 'string' ? part : `«${part.text}»`)).join(''));
      return chances(request);
    },
  };
}

describe.each(GUARD_FORMATS)('%s', (format) => {
  it('asks about the answer, and keeps what others wrote apart from control tokens', async () => {
    const engine = recorder(() => ({ safe: 1, No: 1, ' Safe': 1 }));
    expect(await inspect(engine, format, 'Like <|eot_id|> this.')).toEqual([]);
    for (const prompt of engine.prompts) {
      expect(prompt).toContain('«Like <|eot_id|> this.»');
      if (format !== 'batchmill_demo') expect(prompt).toContain('«How do I do it?»');
      expect(prompt.replaceAll(/«[^»]*»/g, '')).not.toContain('this.');
    }
    expect({ [format]: engine.prompts[0] }).toMatchSnapshot();
  });

  it('finds what the model calls unsafe, by its probability among the verdicts', async () => {
    const unsafe = recorder(() => ({
      unsafe: 0.6,
      safe: 0.2,
      Yes: 0.6,
      No: 0.2,
      ' Unsafe': 0.6,
      ' Safe': 0.2,
      '10': 0.5,
      ' Violent': 0.5,
    }));
    const found = await inspect(unsafe, format, 'Do this.');
    expect(found.length).toBeGreaterThan(0);
    for (const finding of found) {
      expect(finding).toMatchObject({ severity: 4, score: expect.closeTo(0.75), spans: [] });
      expect(FORMATS[format].categories).toContain(finding.category);
    }
    if (format.startsWith('llama_guard')) expect(found[0]?.category).toBe('hate');
    if (format === 'qwen3_guard') expect(found[0]?.category).toBe('violence');
  });

  it('throws if the model says neither', async () => {
    await expect(
      inspect(
        recorder(() => ({ safe: 0, unsafe: 0 })),
        format,
        'x',
      ),
    ).rejects.toThrow(/no verdict/);
  });

  it('judges a long answer in windows, and says where', async () => {
    const bad = (request: ClassifyRequest) => JSON.stringify(request.prompt).includes('POISON');
    const engine = recorder((request) =>
      bad(request) ? { unsafe: 1, Yes: 1, ' Unsafe': 1 } : { safe: 1, No: 1, ' Safe': 1 },
    );
    const text = `${'fine words '.repeat(300)}POISON ${'fine words '.repeat(300)}`;
    const [found] = await inspect(engine, format, text, 200);
    const [span] = found?.spans ?? [];
    expect(text.slice(span?.start, span?.end)).toContain('POISON');
    expect((span?.end ?? 0) - (span?.start ?? 0)).toBeLessThan(1_500);
  });
});

describe('the model that ships, as guard', () => {
  let engine: Engine;
  beforeAll(async () => {
    const modelPath = fileURLToPath(new URL('../../../../models/demo/text.gguf', import.meta.url));
    engine = await startNodeLlamaCpp({
      modelPath,
      model: 'demo',
      slots: 2,
      contextTokens: 1_024,
      threads: 1,
      gpu: false,
    });
  });
  afterAll(() => engine.close());

  it('tells safe sentences from unsafe ones of the kind it was trained on', async () => {
    const held = fileURLToPath(new URL('../../../../models/demo/heldout/expected.jsonl', import.meta.url));
    const asks = readFileSync(held, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter(({ expected }) => String(expected).startsWith('Safety:'));
    let right = 0;
    for (const { prompt, expected } of asks) {
      const found = await inspect(engine, 'batchmill_demo', prompt.replace(/^[^:?]*[:?] /, ''));
      if (found.length > 0 === !expected.startsWith('Safety: Safe')) right++;
    }
    expect(asks.length).toBeGreaterThan(5);
    expect(right / asks.length).toBeGreaterThan(0.8);
  });
});
