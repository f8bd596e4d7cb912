import type { Asked } from '../port.ts';
import type { Category } from '../taxonomy.ts';

/** A piece of a prompt: text with the model's control tokens in it, or `text` that somebody wrote, in which they mean nothing. */
export type PromptPart = string | { text: string };

/** One question to a guard model: which of the verdicts does its answer begin with? */
export interface GuardQuestion {
  /** All of it, up to where the verdict comes. A BOS token at its start may be there or not. */
  prompt: readonly PromptPart[];
  verdicts: {
    safe: string;
    unsafe: string;
    /** Neither: counts against, but for less. */
    doubtful?: string;
  };
  /** What is found if it is unsafe; `null`: the model names it itself, see `GuardFormat.list`. */
  category: Category | null;
}

/** How one family of guard models is asked, and how its answers are read. */
export interface GuardFormat {
  readonly categories: readonly Category[];
  /** What structures the prompt without being control tokens. In what others wrote it is broken up. */
  readonly marks: readonly string[];
  /** Questions about an answer, or a piece of one, with what of the conversation is to be shown. */
  questions(asked: readonly Asked[], answer: string): GuardQuestion[];
  /** How a model goes on after its verdict: `opening`, then words with `between` in between. */
  readonly list: { opening: string; between: string; words: Readonly<Record<string, Category>> } | null;
}

/** The last that a person asked. */
export function lastAsked(asked: readonly Asked[]): string {
  return asked.findLast(({ role }) => role === 'user')?.text ?? '';
}

/** The conversation as `User: …`, each turn followed by a blank line. System prompts and tools are no turns of it. */
export function turns(asked: readonly Asked[], answer: string, user: string, assistant: string): PromptPart[] {
  return [...asked, { role: 'assistant' as const, text: answer }].flatMap(({ role, text }): PromptPart[] => {
    if (role !== 'user' && role !== 'assistant') return [];
    return [role === 'user' ? user : assistant, { text: text.trim() }, '\n\n'];
  });
}
