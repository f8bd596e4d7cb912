import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { z } from 'zod';
import { DEMO, type DemoService, startDemoService } from './demo-service.ts';
import { characterErrorRate, type Pair, wordErrorRate } from './error-rates.ts';
import type { BenchOptions } from './main.ts';

/**
 * How well the model that ships reads, hears and follows, on what it never saw in training (`models/demo/heldout`), asked
 * through the product as chat: `cer_line` and `cer_page`, character error rates of pictures of one line and of several;
 * `wer`, the word error rate of spoken sentences; `instructions_exact`, the share of written instructions answered exactly.
 */
export interface HeldOutRates {
  cer_line: number;
  cer_page: number;
  wer: number;
  instructions_exact: number;
}

const HELD_OUT = join(DEMO, 'heldout');
const Entry = z.object({
  kind: z.string(),
  file: z.string().optional(),
  prompt: z.string(),
  expected: z.string(),
});
type Entry = z.infer<typeof Entry>;

const Answer = z.object({
  choices: z.array(z.object({ message: z.object({ content: z.string().nullable() }) })).min(1),
});
const PICTURE_TYPES: Readonly<Record<string, string>> = {
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.webp': 'image/webp',
};

export async function run(options: BenchOptions): Promise<Record<string, number>> {
  const service = await startDemoService();
  try {
    return { ...(await heldOutRates(service, options)) };
  } finally {
    await service.stop();
  }
}

/** Asks the whole held-out set, or with `quick` every fifth of it. */
export async function heldOutRates(service: DemoService, options: BenchOptions): Promise<HeldOutRates> {
  const text = await readFile(join(HELD_OUT, 'expected.jsonl'), 'utf8');
  const all = text
    .trimEnd()
    .split('\n')
    .map((line) => Entry.parse(JSON.parse(line)));
  const entries = options.quick ? all.filter((_, i) => i % 5 === 0) : all;
  const asks = await Promise.all(entries.map(async (entry, i) => ({ id: `${i}`, body: await bodyOf(entry) })));
  const answers = await service.answers('/v1/chat/completions', asks);
  const pairs = new Map<string, Pair[]>();
  for (const [i, { kind, expected }] of entries.entries()) {
    const body = answers.get(`${i}`);
    const got = body === null ? '' : (Answer.parse(body).choices[0]?.message.content ?? '');
    const group = ['line', 'page', 'speech'].includes(kind) ? kind : 'instruction';
    pairs.set(group, [...(pairs.get(group) ?? []), { expected, got }]);
  }
  const of = (group: string) => pairs.get(group) ?? [];
  const exact = of('instruction').filter(({ expected, got }) => got.trim() === expected.trim()).length;
  return {
    cer_line: round(characterErrorRate(of('line'))),
    cer_page: round(characterErrorRate(of('page'))),
    wer: round(wordErrorRate(of('speech'))),
    instructions_exact: round(exact / Math.max(1, of('instruction').length)),
  };
}

/** No right answer of its kind is longer: what runs on is wrong, and how long it would does not matter. */
const MOST_TOKENS: Readonly<Record<string, number>> = { line: 32, page: 180, speech: 64 };

async function bodyOf({ kind, file, prompt }: Entry): Promise<Record<string, unknown>> {
  const content: unknown[] = [];
  if (file !== undefined) {
    const data = (await readFile(join(HELD_OUT, file))).toString('base64');
    const type = PICTURE_TYPES[extname(file)];
    if (type === undefined)
      content.push({ type: 'input_audio', input_audio: { data, format: extname(file).slice(1) } });
    else content.push({ type: 'image_url', image_url: { url: `data:${type};base64,${data}` } });
  }
  content.push({ type: 'text', text: prompt });
  return { messages: [{ role: 'user', content }], temperature: 0, max_tokens: MOST_TOKENS[kind] ?? 128 };
}

export function round(n: number): number {
  return Number(n.toFixed(4));
}
