import { createHash } from 'node:crypto';
import type { Filter, Finding } from '../port.ts';
import type { ListName } from './list-names.ts';
import { wordsOf } from './lists.ts';
import { type Match, Matcher } from './matcher.ts';
import { WordSearch } from './word-search.ts';

export { LISTS, type ListName } from './list-names.ts';
export { minors } from './minors.ts';
export { WordSearch } from './word-search.ts';

export interface LexiconOptions {
  /** Built-in lists; category `profanity`, severity 2. */
  lists?: readonly ListName[];
  /** Words and phrases of your own, by category; severity 4. */
  words?: Readonly<Record<string, readonly string[]>>;
  /** What is none of these, whatever the lists say: `Scunthorpe`, a name. */
  allow?: readonly string[];
}

/**
 * Finds the words of lists, in disguise too (see `Matcher`). Labels are the category.
 * @param search shared with other filters that look for words
 */
export function lexicon({ lists = [], words = {}, allow = [] }: LexiconOptions, search = new WordSearch()): Filter {
  const looks = Object.entries(words).map(([category, list]) => ({
    category,
    severity: 4,
    matcher: new Matcher(list, allow),
  }));
  if (lists.length > 0)
    looks.push({ category: 'profanity', severity: 2, matcher: new Matcher(lists.flatMap(wordsOf), allow) });
  for (const { matcher } of looks) search.add(matcher);
  return {
    name: 'lexicon',
    version: `2-${createHash('sha256')
      .update(JSON.stringify([lists, words, allow]))
      .digest('hex')
      .slice(0, 12)}`,
    categories: [...new Set(looks.map(({ category }) => category))],
    exact: true,
    inspect: async (segments) =>
      segments.map((segment) =>
        looks.flatMap(({ category, severity, matcher }) => findings(category, severity, search.find(matcher, segment))),
      ),
  };
}

function findings(category: string, severity: number, matches: readonly Match[]): Finding[] {
  if (matches.length === 0) return [];
  const spans = matches.map(({ start, end }) => ({ start, end }));
  return [{ category, severity, score: 1, label: category, spans }];
}
