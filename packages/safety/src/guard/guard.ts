import type { Engine } from '@batchmill/engine';
import type { Filter, FilterContext, Finding, Span } from '../port.ts';
import type { Category, Severity } from '../taxonomy.ts';
import { windowsOf } from '../windows.ts';
import { FORMATS, type GuardFormatName } from './formats.ts';
import type { GuardQuestion } from './port.ts';

export interface GuardOptions {
  /** Holds the guard model. */
  engine: Pick<Engine, 'classify'>;
  format: GuardFormatName;
  /** Longest piece of an answer judged at once, in tokens; three characters are counted as one. Default 2,000. */
  window?: number;
}

/** The severity of a probability of "unsafe": below 0.3 none, from there 2, from 0.5 on 4, from 0.8 on 6. */
export function severityOf(unsafe: number): Severity {
  if (unsafe >= 0.8) return 6;
  if (unsafe >= 0.5) return 4;
  return unsafe >= 0.3 ? 2 : 0;
}

const CHARACTERS_PER_TOKEN = 3;

/**
 * A guard model as a filter: a second GGUF that was trained to judge. The score is the probability of its verdict among the
 * verdicts. Long answers are judged in windows that overlap by a fifth, each with what was asked; spans are the unsafe ones.
 * @throws whatever the engine throws: an answer nobody judged is not delivered.
 */
export function guard({ engine, format: name, window = 2_000 }: GuardOptions): Filter {
  const format = FORMATS[name];
  const most = window * CHARACTERS_PER_TOKEN;

  async function chances(question: GuardQuestion, signal: AbortSignal): Promise<number> {
    const found = await ask(engine, question.prompt, [...question.unsafe, ...question.safe], signal);
    const sum = (words: readonly string[]) => words.reduce((total, word) => total + (found[word] ?? 0), 0);
    const [unsafe, safe] = [sum(question.unsafe), sum(question.safe)];
    // A model that says neither is no guard, or is asked in another's way.
    if (!(unsafe + safe > 1e-6)) throw new Error(`the guard model gives no verdict in the format '${name}'`);
    return unsafe / (unsafe + safe);
  }

  async function judge(text: string, context: FilterContext): Promise<{ category: Category; score: number }[]> {
    const judged = await Promise.all(
      format.questions(context.asked, text).map(async (question) => {
        const score = await chances(question, context.signal);
        if (question.category !== null || severityOf(score) === 0) return { category: question.category, score };
        return { category: await which(question, context.signal), score };
      }),
    );
    return judged.flatMap(({ category, score }) => (category === null ? [] : [{ category, score }]));
  }

  /** The likeliest category of an unsafe answer. */
  async function which(question: GuardQuestion, signal: AbortSignal): Promise<Category> {
    if (format.which === null) return 'unsafe';
    const words = Object.entries(format.which.words);
    const found = await ask(
      engine,
      [...question.prompt, format.which.more],
      words.map(([word]) => word),
      signal,
    );
    const [best] = words.toSorted(([a], [b]) => (found[b] ?? 0) - (found[a] ?? 0));
    return best?.[1] ?? 'unsafe';
  }

  return {
    name: 'guard',
    version: name,
    categories: format.categories,
    exact: false,
    inspect: (segments, context) =>
      Promise.all(
        segments.map(async ({ text }) => {
          const windows = windowsOf(text, most, Math.floor(most / 5));
          const judged = await Promise.all(
            windows.map(async (span) => ({ span, found: await judge(text.slice(span.start, span.end), context) })),
          );
          return findingsOf(judged, windows.length === 1);
        }),
      ),
  };
}

async function ask(
  engine: GuardOptions['engine'],
  prompt: GuardQuestion['prompt'],
  candidates: readonly string[],
  signal: AbortSignal,
): Promise<Record<string, number>> {
  if (engine.classify === undefined) throw new Error('the engine of the guard model cannot classify');
  return engine.classify({ messages: [], prompt, candidates: [...candidates] }, signal);
}

/** One finding for each category, the worst score of all windows. */
function findingsOf(
  judged: readonly { span: Span; found: readonly { category: Category; score: number }[] }[],
  whole: boolean,
): Finding[] {
  const best = new Map<Category, { score: number; spans: Span[] }>();
  for (const { span, found } of judged) {
    for (const { category, score } of found) {
      if (severityOf(score) === 0) continue;
      const one = best.get(category) ?? { score: 0, spans: [] };
      const last = one.spans.at(-1);
      if (last !== undefined && span.start <= last.end) last.end = Math.max(last.end, span.end);
      else one.spans.push({ ...span });
      best.set(category, { score: Math.max(one.score, score), spans: one.spans });
    }
  }
  return [...best].map(([category, { score, spans }]) => ({
    category,
    severity: severityOf(score),
    score,
    label: category,
    spans: whole ? [] : spans,
  }));
}
