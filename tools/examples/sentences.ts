import { pick } from './random.ts';

/** Words of the model that ships (`tools/demo-model/demo_model/data/words.py`): no two sound alike. */
const NOUNS =
  'apple bank bicycle boat bottle bridge camera chair clock coffee computer doctor driver engine farmer garden guitar hammer horse hospital invoice island jacket kitchen ladder lemon letter machine market message money monkey mountain office paper pencil picture police potato price question rabbit radio river robot school shirt soldier station street summer table teacher ticket tiger tomato tower train village watch window winter'.split(
    ' ',
  );
const VERBS =
  'bought brought built carried cleaned closed counted dropped found kept liked lost loved moved opened painted pushed sold signed stopped touched visited wanted washed'.split(
    ' ',
  );
const ADJECTIVES =
  'angry broken cheap clean cold early empty famous heavy large late little quiet small strong warm wild young'.split(
    ' ',
  );
const DAYS = 'Monday Tuesday Wednesday Thursday Friday Saturday Sunday'.split(' ');
const TENS = 'twenty thirty forty fifty sixty seventy eighty ninety'.split(' ');
const ONES = 'one two three four five six seven eight nine'.split(' ');

/** A sentence of four to ten words: lower case but for days, no punctuation. */
export function sentence(random: () => number): string {
  switch (Math.floor(random() * 4)) {
    case 0:
      return `${thing(random)} ${pick(random, VERBS)} ${thing(random)}`;
    case 1:
      return `${thing(random)} ${pick(random, VERBS)} ${thing(random)} on ${pick(random, DAYS)}`;
    case 2:
      return `${pick(random, ['she', 'they', 'we', 'you'])} ${pick(random, VERBS)} ${number(random)} ${pick(random, NOUNS)}`;
    default:
      return `${pick(random, DAYS)} ${thing(random)} ${pick(random, VERBS)} ${number(random)} ${pick(random, NOUNS)}`;
  }
}

function thing(random: () => number): string {
  const adjective = random() < 0.5 ? `${pick(random, ADJECTIVES)} ` : '';
  return `${pick(random, ['the', 'my', 'his', 'that', 'every'])} ${adjective}${pick(random, NOUNS)}`;
}

function number(random: () => number): string {
  return random() < 0.5 ? pick(random, ONES) : `${pick(random, TENS)} ${pick(random, ONES)}`;
}
