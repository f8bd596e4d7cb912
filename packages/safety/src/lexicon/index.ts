import { createHash } from 'node:crypto';
import type { Filter, Finding } from '../port.ts';
import { type ListName, wordsOf } from './lists.ts';
import { type Match, Matcher } from './matcher.ts';

export { LISTS, type ListName } from './lists.ts';
export { minors } from './minors.ts';

export interface LexiconOptions {
  /** Built-in lists; category `profanity`, severity 2. */
  lists?: readonly ListName[];
  /** Words and phrases of your own, by category; severity 4. */
  words?: Readonly<Record<string, readonly string[]>>;
  /** What is none of these, whatever the lists say: `Scunthorpe`, a name. */
  allow?: readonly string[];
}

/** Finds the words of lists, in disguise too (see `Matcher`). Labels are the category. */
export function lexicon({ lists = [], words = {}, allow = [] }: LexiconOptions): Filter {
  const looks = Object.entries(words).map(([category, list]) => ({
    category,
    severity: 4,
    matcher: new Matcher(list, allow),
  }));
  if (lists.length > 0)
    looks.push({ category: 'profanity', severity: 2, matcher: new Matcher(lists.flatMap(wordsOf), allow) });
  return {
    name: 'lexicon',
    version: `2-${createHash('sha256')
      .update(JSON.stringify([lists, words, allow]))
      .digest('hex')
      .slice(0, 12)}`,
    categories: [...new Set(looks.map(({ category }) => category))],
    exact: true,
    inspect: async (segments) =>
      segments.map(({ text }) =>
        looks.flatMap(({ category, severity, matcher }) => findings(category, severity, matcher.find(text))),
      ),
  };
}

function findings(category: string, severity: number, matches: readonly Match[]): Finding[] {
  if (matches.length === 0) return [];
  const spans = matches.map(({ start, end }) => ({ start, end }));
  return [{ category, severity, score: 1, label: category, spans }];
}
