import { lexicon } from '@batchmill/safety/lexicon';
import { faker } from '@faker-js/faker';
import { wordsOf } from '../packages/safety/src/lexicon/lists.ts';
import type { BenchOptions } from './main.ts';
import { prose } from './prose.ts';

/**
 * How well the lexicon filter sees through disguise. `recall`: share of disguised words of the English list that are found in
 * running text; disguises are drawn one or two at a time: digits and signs for letters, marks between letters, letters apart,
 * look-alikes of other scripts, marks on letters, invisible characters, repeated letters, capitals. `false_alarms`: share of the
 * words of 5 MB of clean prose (speeches) with the Scunthorpe set in between that are taken for words of the list. Words of the list
 * that the speeches use (`negro`, `rape`) count as alarms too.
 */
const SEED = 20_261_126;

/** Names and words that hold others: the towns, and what filters have been laughed at for. */
const SCUNTHORPE =
  'Scunthorpe Penistone Lightwater Clitheroe Shitterton Sussex Essex Middlesex Cockermouth Dickinson Hitchcock Cockburn Babcock ' +
  'assassin classic bassoon embarrass cocktail peacock shuttlecock grape drape therapist analysis analogue canal document ' +
  'accumulate cucumber circumstance scrap button buttress saltpetre Titus constitution title Essence sextant sextet Bangkok ' +
  'mishit shiitake Matsushita hello Arsenal parse coarse Uranus manuscript Niger snigger niggardly pussycat Moby-Dick Fukuda';

const LEET: Record<string, string[]> = {
  a: ['4', '@'],
  e: ['3'],
  i: ['1', '!', '|'],
  o: ['0'],
  s: ['5', '$'],
  t: ['7', '+'],
  b: ['8'],
  g: ['9'],
};
const ALIKE: Record<string, string[]> = {
  a: ['а', 'ɑ', 'ａ'],
  c: ['с', 'ϲ'],
  e: ['е', 'ｅ'],
  i: ['і', 'ｉ'],
  o: ['о', 'ο', 'ｏ'],
  p: ['р', 'ρ'],
  s: ['ѕ', 'ｓ'],
  u: ['υ', 'ｕ'],
  x: ['х'],
  y: ['у'],
};
const MARKS: Record<string, string[]> = {
  a: ['á', 'ä', 'à'],
  e: ['é', 'ë'],
  i: ['í', 'ï'],
  o: ['ó', 'ö'],
  u: ['ú', 'ü'],
  n: ['ñ'],
  c: ['ç'],
};

const each = (word: string, share: number, of: Record<string, string[]>) =>
  [...word]
    .map((letter) => {
      const others = of[letter.toLowerCase()];
      return others !== undefined && faker.number.float() < share ? faker.helpers.arrayElement(others) : letter;
    })
    .join('');

const DISGUISES: ((word: string) => string)[] = [
  (word) => each(word, 0.6, LEET),
  (word) => each(word, 0.7, ALIKE),
  (word) => each(word, 0.7, MARKS),
  (word) => [...word].join(faker.helpers.arrayElement(['\u200b', '\u200d', '\u2060', '\u00ad'])),
  (word) => {
    const at = faker.number.int({ min: 0, max: word.length - 1 });
    return word.slice(0, at) + (word[at] ?? '').repeat(faker.number.int({ min: 2, max: 4 })) + word.slice(at + 1);
  },
  (word) => [...word].map((letter) => (faker.datatype.boolean() ? letter.toUpperCase() : letter)).join(''),
];
/** Not to be combined: they take the word apart. */
const APART: ((word: string) => string)[] = [
  (word) => [...word].join(faker.helpers.arrayElement(['.', '-', '_', '*'])),
  (word) => [...word].join(' '),
];

export async function run({ quick }: BenchOptions): Promise<Record<string, number>> {
  faker.seed(SEED);
  const filter = lexicon({ lists: ['profanity_en'] });
  const context = {
    tenant: '',
    batchId: '',
    customId: '',
    asked: [],
    selfVerdicts: [],
    signal: new AbortController().signal,
  };
  const spansOf = async (text: string) => {
    const [findings = []] = await filter.inspect([{ id: 'a', text }], context);
    return findings.flatMap(({ spans }) => spans);
  };
  const words = wordsOf('profanity_en').filter((word) => word.length >= 4 && !word.includes(' '));
  const missed: string[] = [];
  const count = quick ? 1_000 : 10_000;
  for (let i = 0; i < count; i++) {
    const word = faker.helpers.arrayElement(words);
    const disguised =
      faker.number.float() < 0.25
        ? faker.helpers.arrayElement(APART)(word)
        : faker.helpers.arrayElements(DISGUISES, { min: 1, max: 2 }).reduce((text, disguise) => disguise(text), word);
    const before = faker.lorem.words(4);
    const text = `${before} ${disguised}${faker.helpers.arrayElement(['', '.', ',', '!', '?'])} ${faker.lorem.words(3)}`;
    const start = before.length + 1;
    const end = start + disguised.length;
    if (!(await spansOf(text)).some((span) => span.start < end && span.end > start))
      missed.push(`${word} as ${disguised}`);
  }
  for (const one of missed.filter((_, i) => i % Math.ceil(missed.length / 20) === 0))
    process.stderr.write(`  missed  ${one}\n`);
  const clean = `${prose(quick ? 1_000_000 : 5_000_000)}\n${SCUNTHORPE}`;
  const alarms = await spansOf(clean);
  const examples = new Set(alarms.map(({ start, end }) => clean.slice(start, end)));
  process.stderr.write(`  alarms  ${alarms.length}: ${[...examples].slice(0, 20).join(' ')}\n`);
  return {
    recall: Number((1 - missed.length / count).toFixed(4)),
    false_alarms: Number((alarms.length / clean.split(/\s+/).length).toFixed(6)),
  };
}
