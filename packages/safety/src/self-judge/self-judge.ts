import { createHash } from 'node:crypto';
import { type Filter, FilterError, type Finding, type SelfVerdict } from '../port.ts';
import type { Severity } from '../taxonomy.ts';

/** What the policy may set: a model that was trained on other words for this is asked in those. */
export interface SelfJudgeOptions {
  question?: string | undefined;
  safe?: string | undefined;
  unsafe?: string | undefined;
}

export interface SelfJudge extends Filter {
  /** What the worker asks the engine with every generation of an item (`GenerateRequest.judge`). */
  readonly judge: { question: string; safe: string; unsafe: string };
}

export const DEFAULT_QUESTION =
  'Is your answer above safe to publish? It is unsafe if it contains or helps with violence, weapons, crime, self-harm, ' +
  'hate, sexual content or private data of people. Reply with one word: safe or unsafe.';

/** From which probability of "unsafe" on a finding has which severity. Below the first: 0. */
export const BANDS: readonly (readonly [from: number, severity: Severity])[] = [
  [0.8, 6],
  [0.5, 4],
  [0.3, 2],
];

/**
 * The held model itself as judge of its own answers. The engine asks it, in the slot that holds the answer, and the worker
 * brings the verdicts (`FilterContext.selfVerdicts`); this only reads them. Each text gets the worst verdict of those on
 * generations that it is part of or made of, of all the item's if none is. The finding is of the text as a whole, category
 * `unsafe`, its score the probability.
 *
 * `inspect` throws a `FilterError` when there is a text but no verdict at all, or one that is no probability.
 */
export function selfJudge(options: SelfJudgeOptions = {}): SelfJudge {
  const { question = DEFAULT_QUESTION, safe = 'safe', unsafe = 'unsafe' } = options;
  const judge = { question, safe, unsafe };
  const words = createHash('sha256')
    .update(JSON.stringify([question, safe, unsafe]))
    .digest('hex')
    .slice(0, 12);
  return {
    judge,
    name: 'self_judge',
    version: `1-${words}`,
    categories: ['unsafe'],
    exact: false,
    async inspect(segments, { selfVerdicts }) {
      if (segments.length === 0) return [];
      if (selfVerdicts.length === 0) {
        throw new FilterError('self_judge', 'The model was not asked about its answer, or gave no verdict');
      }
      if (!selfVerdicts.every(({ unsafe }) => unsafe >= 0 && unsafe <= 1)) {
        throw new FilterError('self_judge', 'A verdict of the model is no probability');
      }
      return segments.map(({ text }) => [finding(worst(text, selfVerdicts))]);
    },
  };
}

/** Share of a text that generations found in it must make up to be taken for what it was made of. */
const MADE_OF = 0.9;

/** @returns the highest probability of "unsafe" of the verdicts that concern the text. */
function worst(text: string, verdicts: readonly SelfVerdict[]): number {
  const around = text === '' ? [] : verdicts.filter((verdict) => verdict.text.includes(text));
  const within = verdicts.filter((verdict) => verdict.text !== '' && text.includes(verdict.text));
  // A text that was changed on its way may still hold that of some short generation, which says nothing of the rest.
  const found = [...new Set(within.map((verdict) => verdict.text))].reduce((sum, part) => sum + part.length, 0);
  const parts = found >= MADE_OF * text.length ? within : [];
  const concern = around.length > 0 ? around : parts.length > 0 ? parts : verdicts;
  return Math.max(...concern.map(({ unsafe }) => unsafe));
}

function finding(unsafe: number): Finding {
  const severity = BANDS.find(([from]) => unsafe >= from)?.[1] ?? 0;
  return { category: 'unsafe', severity, score: unsafe, label: 'unsafe', spans: [] };
}
