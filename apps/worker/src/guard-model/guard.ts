import { controlTokenGuard, type Engine, EngineError, type PromptPart } from '@batchmill/engine';
import {
  type Asked,
  type Category,
  type Filter,
  type Finding,
  FORMATS,
  type GuardFormatName,
  type Span,
  windowsOf,
} from '@batchmill/safety';
import { type Judgement, judge } from './judge.ts';
import { recent } from './recent.ts';
import { sideBySide } from './side-by-side.ts';

export interface GuardOptions {
  /** Holds the guard model. It is the caller's to close. */
  engine: Pick<Engine, 'classify'> & Partial<Pick<Engine, 'capabilities'>>;
  format: GuardFormatName;
  /** Longest piece of an answer judged at once, in tokens; three characters are counted as one. Default 2,000. */
  window?: number;
  /** How much of a piece the next one begins with, in tokens. Default a fifth of `window`. */
  overlap?: number;
  /** Where the format has a question for each category, only these are asked. Default all. */
  categories?: readonly Category[];
}

const CHARACTERS_PER_TOKEN = 3;
/** Pieces that are not made smaller any more, in UTF-16 units. */
const SMALLEST = 64;
/** Changes with the prompts, the bands and the way answers are cut. */
const REVISION = 2;

/**
 * A guard model as a filter: a second GGUF that was trained to judge. The score is the probability of its verdicts against,
 * among the verdicts; see `bandOf` for severities. Long answers are judged in windows that overlap, each with the latest of
 * what was asked, half a window at most; spans are the windows against which the verdict goes. Where prompt and window do not fit the
 * model's context (text of many tokens), both are halved until they do.
 *
 * `inspect` throws whatever the engine throws, and when the model gives no verdict: an answer nobody judged is not delivered.
 */
export function guard({
  engine,
  format: name,
  window = 2_000,
  overlap = Math.floor(window / 5),
  categories,
}: GuardOptions): Filter {
  const format = FORMATS[name];
  const most = window * CHARACTERS_PER_TOKEN;
  const marks = controlTokenGuard(format.marks, '');
  const wanted = (category: Category | null) => category === null || (categories?.includes(category) ?? true);
  const slots = engine.capabilities?.slots ?? 1;

  async function classify(prompt: readonly PromptPart[], candidates: string[], signal: AbortSignal) {
    if (engine.classify === undefined) throw new Error('the engine of the guard model cannot classify');
    const parts = prompt.map((part) => (typeof part === 'string' ? part : { text: marks.breakUp(part.text) }));
    return engine.classify({ prompt: parts, candidates }, signal);
  }

  /** Of one window, or of its halves if it does not fit. */
  async function judged(
    { text, span, asked }: { text: string; span: Span; asked: readonly Asked[] },
    signal: AbortSignal,
  ): Promise<JudgedSpan[]> {
    try {
      const questions = format
        .questions(asked, text.slice(span.start, span.end))
        .filter(({ category }) => wanted(category));
      const found = await judge(format, questions, (prompt, candidates) => classify(prompt, candidates, signal));
      return [{ span, found }];
    } catch (error) {
      if (!(error instanceof EngineError && error.code === 'context_overflow')) throw error;
      const length = span.end - span.start;
      const shown = asked.reduce((sum, message) => sum + message.text.length, 0);
      if (length <= SMALLEST && shown === 0) throw error;
      const halves = length <= SMALLEST ? [{ start: 0, end: length }] : halvesOf(text.slice(span.start, span.end));
      const less = recent(asked, shown <= SMALLEST ? 0 : Math.floor(shown / 2));
      const all: JudgedSpan[] = [];
      for (const { start, end } of halves) {
        const half = { start: span.start + start, end: span.start + end };
        all.push(...(await judged({ text, span: half, asked: less }, signal)));
      }
      return all;
    }
  }

  return {
    name: 'guard',
    version: `${name}-${REVISION}-${window}-${overlap}${engine.capabilities ? `-${engine.capabilities.model}` : ''}`,
    categories: format.questions([], '').every(({ category }) => category === null)
      ? format.categories
      : format.categories.filter(wanted),
    exact: false,
    async inspect(segments, { asked, signal }) {
      const shown = recent(asked, Math.floor(most / 2));
      const pieces = segments.flatMap(({ text }, segment) =>
        text.trim() === ''
          ? []
          : windowsOf(text, most, overlap * CHARACTERS_PER_TOKEN).map((span) => ({
              text,
              span,
              asked: shown,
              segment,
            })),
      );
      const all = await sideBySide(pieces, slots, (piece) => judged(piece, signal));
      return segments.map(({ text }, segment) =>
        findingsOf(all.filter((_, i) => pieces[i]?.segment === segment).flat(), text.length),
      );
    },
  };
}

interface JudgedSpan {
  span: Span;
  found: readonly Judgement[];
}

function halvesOf(text: string): Span[] {
  const half = Math.ceil(text.length / 2);
  return windowsOf(text, half, Math.floor(half / 5));
}

/** One finding for each category, with the worst of all windows. A text in one piece is meant as a whole: no spans. */
function findingsOf(judged: readonly JudgedSpan[], length: number): Finding[] {
  const findings = new Map<Category, Finding & { spans: Span[] }>();
  for (const { span, found } of judged) {
    for (const { category, score, severity } of found) {
      if (severity === 0) continue;
      const before = findings.get(category) ?? { category, severity, score, label: category, spans: [] };
      const last = before.spans.at(-1);
      if (last !== undefined && span.start <= last.end) last.end = Math.max(last.end, span.end);
      else before.spans.push({ ...span });
      findings.set(category, {
        ...before,
        severity: Math.max(before.severity, severity),
        score: Math.max(before.score, score),
      });
    }
  }
  return [...findings.values()].map((finding) => {
    const [only] = finding.spans;
    return finding.spans.length === 1 && only?.start === 0 && only.end === length ? { ...finding, spans: [] } : finding;
  });
}
