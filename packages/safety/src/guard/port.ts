import type { PromptPart } from '@batchmill/engine';
import type { Asked } from '../port.ts';
import type { Category } from '../taxonomy.ts';

/** One question to a guard model: what is the chance that its next word is one of these? */
export interface GuardQuestion {
  prompt: readonly PromptPart[];
  /** Words that say unsafe, and those that say safe; of each its first token counts. */
  unsafe: readonly string[];
  safe: readonly string[];
  /** What is found if it is unsafe; `null`: that is asked afterwards, by `which`. */
  category: Category | null;
}

export interface GuardFormat {
  readonly categories: readonly Category[];
  /** Questions about an answer, or a piece of one. */
  questions(asked: readonly Asked[], answer: string): GuardQuestion[];
  /** How an unsafe answer's category is asked: more of the prompt, and the word for each category. `null`: questions have one each. */
  readonly which: { more: string; words: Readonly<Record<string, Category>> } | null;
}

/** The last that was asked, as text. */
export function lastAsked(asked: readonly Asked[]): string {
  return asked.findLast(({ role }) => role === 'user')?.text ?? '';
}
