import type { Filter, Finding, Span } from '../port.ts';
import { SEXUAL_MINORS } from '../taxonomy.ts';
import { type Match, Matcher } from './matcher.ts';
import { ABOUT, AGE, HINTS, MINORS, NAMED, TOLD, WARNING } from './minors-words.ts';
import { WordSearch } from './word-search.ts';

/** What a word says by itself: sex told, sex named, or the kind of hint that it is. */
const KIND_OF = new Map<string, 'told' | 'named' | number>([
  ...HINTS.flatMap((list, kind) => list.map((word) => [word, kind] as const)),
  ...NAMED.map((word) => [word, 'named'] as const),
  ...TOLD.map((word) => [word, 'told'] as const),
]);
const sexual = new Matcher(KIND_OF.keys());
const minor = new Matcher(MINORS);
const about = new Matcher(ABOUT);
const warning = new Matcher(WARNING);

/** In characters: about twelve words. */
const NEAR = 90;
/** At most so far to either side of a word: a text without full stops is no sentence. */
const LONGEST_SENTENCE = 400;
/** A line may well break inside a sentence; a blank line ends one. The point of `1.5` ends none. */
const endsAt = (text: string, at: number) =>
  text[at] === '.'
    ? !/[\p{L}\p{N}]/u.test(text[at + 1] ?? '')
    : '!?。！？'.includes(text[at] ?? ' ') || (text[at] === '\n' && text[at + 1] === '\n');

/**
 * The check that every policy has: in one sentence, close to each other, a word for a minor or an age under 18, and sex: told,
 * or named, or hinted at in two ways. Not where the sentence has a word of those who speak about it (law, medicine, protection),
 * nor, of what is only named, of those who warn of it. It knows words and no meaning: it is the floor under guard models and judges, and
 * not in their place. Category `sexual_minors`, severity 6.
 * @param search shared with other filters that look for words
 */
export function minors(search = new WordSearch()): Filter {
  search.add(sexual);
  return {
    name: 'minors',
    version: '2',
    categories: [SEXUAL_MINORS],
    exact: true,
    inspect: async (segments) => segments.map((segment) => find(segment.text, search.find(sexual, segment))),
  };
}

function find(text: string, said: readonly Match[]): Finding[] {
  const spans: Span[] = [];
  for (let i = 0; i < said.length; ) {
    const first = said[i];
    if (first === undefined) break;
    // All of a sentence at once, so that each part of the text is looked at a bounded number of times.
    const sentence = sentenceAround(text, first);
    const words: Match[] = [];
    for (; (said[i]?.end ?? Number.POSITIVE_INFINITY) <= sentence.end; i++) words.push(...said.slice(i, i + 1));
    if (words.length === 0) i++;
    else if (isFound(text, sentence, words))
      spans.push({ start: Math.max(sentence.start, spans.at(-1)?.end ?? 0), end: sentence.end });
  }
  return spans.length === 0 ? [] : [{ category: SEXUAL_MINORS, severity: 6, score: 1, label: SEXUAL_MINORS, spans }];
}

function isFound(text: string, sentence: Span, words: readonly Match[]): boolean {
  const part = text.slice(sentence.start, sentence.end);
  const young = minorsIn(part).map(({ start, end }) => ({ start: start + sentence.start, end: end + sentence.start }));
  if (young.length === 0 || about.find(part).length > 0) return false;
  const warned = warning.find(part).length > 0;
  const counts = (kind: 'told' | 'named' | number | undefined) => kind === 'told' || (kind === 'named' && !warned);
  return young.some((one) => {
    const near = words.filter(({ start, end }) => Math.max(one.start - end, start - one.end) <= NEAR);
    const kinds = near.map(({ word }) => KIND_OF.get(word));
    return kinds.some(counts) || new Set(kinds.filter((kind) => typeof kind === 'number')).size >= 2;
  });
}

function minorsIn(part: string): Span[] {
  const found = minor.find(part).filter(({ word, start, end }) => isMinor(word, part, start, end));
  return [...found, ...[...part.matchAll(AGE)].map(({ index, 0: age }) => ({ start: index, end: index + age.length }))];
}

const GERMAN_NOUNS = new Set(['kind', 'kinder', 'kindes', 'kindern']);

/** Words that are others too, by what stands around them. */
function isMinor(word: string, part: string, start: number, end: number): boolean {
  // German nouns: `kind of`, `kinder` are English. At the start of a sentence both have a capital.
  if (GERMAN_NOUNS.has(word))
    return /^K/.test(part.slice(start)) && !/^\s(?:of|regards|words|to|man|people)\b/.test(part.slice(end));
  // The chord, the detail and the injury.
  if (word === 'minor')
    return (
      /(?:\b(?:a|the|any|each|every|this|that|with|another)\s)$/i.test(part.slice(0, start)) &&
      /^(?:'s)?(?:[^\s\p{L}]|$|\s(?:in|is|was|who|and|or|by|for|to|on|at|having|has|had|under|gets?|being|while|as)\b)/u.test(
        part.slice(end),
      )
    );
  return true;
}

function sentenceAround(text: string, { start, end }: Span): Span {
  let from = start;
  while (from > 0 && start - from < LONGEST_SENTENCE && !endsAt(text, from - 1)) from--;
  let to = end;
  while (to < text.length && to - end < LONGEST_SENTENCE && !endsAt(text, to)) to++;
  return { start: from, end: to };
}
