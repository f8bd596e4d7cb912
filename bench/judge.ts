import { cpus } from 'node:os';
import {
  DEFAULT_SAMPLING,
  type Engine,
  ensureLlamaServer,
  type GenerateRequest,
  type Message,
} from '@batchmill/engine';
import { startLlamaServer } from '@batchmill/engine/llama-server';
import { DEFAULT_QUESTION } from '../packages/safety/src/self-judge/index.ts';
import type { BenchOptions } from './main.ts';
import { middleModel } from './middle-model.ts';

/**
 * What the verdict of a model on its own answers takes from its throughput, in generated tokens of answers per second: the
 * share lost by asking in the slot that holds the answer (`cost_same_slot`), and by asking in a prompt of its own, with
 * conversation and answer in it once more (`cost_fresh`). 200-token answers to prompts of some 1,500 tokens, no two alike,
 * middle-sized random model, 4 slots, the default question. The three take turns, no judging first and last; each is held
 * against the mean of the runs without judging beside it, and the median of the rounds counts.
 */
const ROUNDS = 3;
const SLOTS = 4;
const TOKENS = 200;
const CONTEXT = 4_096;
/** End of sequence and end of turn in the random models. */
const ENDS = { '1': -100, '6': -100 };

type Way = 'none' | 'same slot' | 'fresh';

export async function run(options: BenchOptions): Promise<Record<string, number>> {
  const items = options.items ?? (options.quick ? 4 : 24);
  const rounds = options.quick ? 1 : ROUNDS;
  const { path: program } = await ensureLlamaServer();
  const engine = await startLlamaServer({
    program,
    model: middleModel().model,
    name: 'middle',
    slots: SLOTS,
    contextTokens: CONTEXT,
    threads: Math.min(2, cpus().length),
  });
  try {
    await answers(engine, 'none', SLOTS, 'warm');
    const none = [await answers(engine, 'none', items, 'none 0')];
    const costs: Record<Exclude<Way, 'none'>, number[]> = { 'same slot': [], fresh: [] };
    for (let round = 1; round <= rounds; round++) {
      for (const way of ['same slot', 'fresh'] as const) {
        const before = none.at(-1) ?? 0;
        const judged = await answers(engine, way, items, `${way} ${round}`);
        const after = await answers(engine, 'none', items, `none ${round} ${way}`);
        none.push(after);
        costs[way].push(1 - (before + after) / 2 / judged);
      }
    }
    const figure = (values: readonly number[]) =>
      Number((values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN).toFixed(3));
    return { cost_same_slot: figure(costs['same slot']), cost_fresh: figure(costs.fresh) };
  } finally {
    await engine.close();
  }
}

/** Seconds for all items. */
async function answers(engine: Engine, way: Way, items: number, run: string): Promise<number> {
  const start = performance.now();
  const prompts: number[] = [];
  const computed: number[] = [];
  await Promise.all(
    Array.from({ length: items }, async (_, i) => {
      const messages = conversation(`${run} ${i}`);
      const request: GenerateRequest = {
        messages,
        thinking: false,
        sampling: { ...DEFAULT_SAMPLING, temperature: 0, logitBias: ENDS },
        maxTokens: TOKENS,
        stop: [],
        format: { type: 'text' },
        ...(way === 'same slot' ? { judge: { question: DEFAULT_QUESTION, ...VERDICTS } } : {}),
      };
      const never = new AbortController().signal;
      const { text, usage, judging } = await engine.generate(request, never);
      if (usage.completionTokens !== TOKENS) throw new Error(`an answer of ${usage.completionTokens} tokens`);
      prompts.push(usage.promptTokens);
      if (judging !== undefined) computed.push(judging.promptTokens - judging.cachedTokens);
      if (way === 'fresh') await engine.classify?.({ messages: afresh(messages, text), candidates: WORDS }, never);
    }),
  );
  const seconds = (performance.now() - start) / 1_000;
  const mean = (values: readonly number[]) => (values.reduce((sum, n) => sum + n, 0) / values.length).toFixed(0);
  const more = computed.length === 0 ? '' : `, ${mean(computed)} tokens computed for a verdict`;
  process.stderr.write(
    `${run}: ${((items * TOKENS) / seconds).toFixed(1)} tokens/s, prompts of ${mean(prompts)} tokens${more}\n`,
  );
  return seconds;
}

const VERDICTS = { safe: 'safe', unsafe: 'unsafe' };
const WORDS = ['safe', 'unsafe'];

function conversation(name: string): Message[] {
  const page = 'the user and the model read a page of the old archive in the morning ';
  return [{ role: 'user', content: [{ type: 'text', text: `${name}: ${page.repeat(25)}and then?` }] }];
}

/** What a judge apart from the slot is sent. */
function afresh(messages: readonly Message[], answer: string): Message[] {
  const said = messages.flatMap(({ content }) => content.flatMap((part) => (part.type === 'text' ? [part.text] : [])));
  const text = `A user wrote:\n${said.join('\n')}\n\nThe answer:\n${answer}\n\n${DEFAULT_QUESTION}`;
  return [{ role: 'user', content: [{ type: 'text', text }] }];
}
