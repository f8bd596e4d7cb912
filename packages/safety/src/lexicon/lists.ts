import naughty from 'naughty-words';
import { englishDataset } from 'obscenity';
import type { ListName } from './list-names.ts';

/** The words of a list. */
export function wordsOf(list: ListName): string[] {
  if (list === 'profanity_en') return english();
  const language = list.slice('profanity_'.length);
  const words: unknown = Object.entries(naughty).find(([name]) => name === language)?.[1];
  return Array.isArray(words) ? words.filter((word) => typeof word === 'string') : [];
}

/** What is made of the words of the dataset, which has the plain forms only. */
const DERIVED =
  'fucking fuckin fucked fucker fuckers fuckface fucktard fucktards fuckwit fuckwits motherfucker motherfuckers motherfucking ' +
  'clusterfuck shitty shitting shithead shitheads shithole shitholes bullshit horseshit dipshit dipshits apeshit asshole assholes ' +
  'arsehole arseholes dumbass dumbasses jackass jackasses dickhead dickheads cocksucker cocksuckers cocksucking cumming cumshot ' +
  'cumshots bitches bitching bitchy pissed pissing wanker wankers wanking whoring slutty faggot faggots nigga niggas titty titties ' +
  'masturbating masturbated masturbation retarded bollock cuckold';

function english(): string[] {
  const words = new Set<string>();
  englishDataset.removePhrasesIf(({ metadata }) => {
    if (metadata !== undefined) words.add(metadata.originalWord);
    return false;
  });
  return [...new Set([...[...words].flatMap((word) => [word, pluralOf(word)]), ...DERIVED.split(' ')])];
}

function pluralOf(word: string): string {
  if (/(?:s|x|ch|sh)$/.test(word)) return `${word}es`;
  return /[^aeiou]y$/.test(word) ? `${word.slice(0, -1)}ies` : `${word}s`;
}
