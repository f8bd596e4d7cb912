import type { Filter, Finding, Span } from '../port.ts';
import { SEXUAL_MINORS } from '../taxonomy.ts';
import { Matcher } from './matcher.ts';

/** Words of explicit depiction, not of medicine or law; English, German, French, Spanish. */
const EXPLICIT = [
  ...['erotic', 'erotica', 'porn', 'porno', 'pornographic', 'masturbate', 'masturbates', 'masturbating', 'masturbated'],
  ...['orgasm', 'orgasms', 'aroused', 'sexually explicit', 'has sex', 'had sex', 'having sex', 'sex scene', 'sexy'],
  ...[
    'erotisch',
    'erotische',
    'erotischen',
    'pornografisch',
    'masturbiert',
    'orgasmus',
    'hat sex',
    'hatte sex',
    'sexszene',
  ],
  ...['érotique', 'érotiques', 'pornographique', 'se masturbe', 'orgasme', 'scène de sexe'],
  ...['erótico', 'erótica', 'pornográfico', 'pornográfica', 'se masturba', 'orgasmo', 'escena de sexo'],
];
const MINOR = [
  ...[
    'child',
    'children',
    'minor',
    'minors',
    'toddler',
    'toddlers',
    'infant',
    'preteen',
    'preteens',
    'underage',
    'schoolgirl',
  ],
  ...['schoolboy', 'little girl', 'little boy', 'kid', 'kids', 'lolita', 'shota', 'loli'],
  ...['kind', 'kinder', 'kindes', 'minderjährig', 'minderjährige', 'minderjährigen', 'kleinkind', 'schulmädchen'],
  ...['enfant', 'enfants', 'fillette', 'fillettes', 'mineur', 'mineure', 'mineurs', 'petite fille', 'petit garçon'],
  ...['niño', 'niña', 'niños', 'niñas', 'menor de edad', 'menores', 'colegiala'],
];
/** Words of those who speak about it and do not depict it. */
const ABOUT = [
  ...[
    'abuse',
    'abused',
    'abuser',
    'abusive',
    'prevent',
    'prevention',
    'protect',
    'protection',
    'protecting',
    'safeguarding',
  ],
  ...[
    'law',
    'laws',
    'illegal',
    'crime',
    'criminal',
    'convicted',
    'charged',
    'arrested',
    'police',
    'court',
    'guilty',
    'prosecutor',
  ],
  ...[
    'possession',
    'possessing',
    'offender',
    'victim',
    'victims',
    'trafficking',
    'exploitation',
    'report',
    'reported',
    'study',
  ],
  ...[
    'research',
    'researchers',
    'education',
    'health',
    'doctor',
    'medical',
    'clinic',
    'patient',
    'therapy',
    'ban',
    'banned',
    'policy',
  ],
  ...[
    'filter',
    'filters',
    'parents',
    'internet',
    'online',
    'access',
    'exposure',
    'exposed',
    'against',
    'not',
    'no',
    'never',
    'without',
  ],
  ...[
    'missbrauch',
    'schutz',
    'polizei',
    'gericht',
    'gesetz',
    'strafbar',
    'verurteilt',
    'opfer',
    'aufklärung',
    'studie',
    'gegen',
    'kein',
    'keine',
    'nicht',
  ],
  ...['abus', 'protection', 'loi', 'tribunal', 'condamné', 'victime', 'victimes', 'étude', 'contre', 'pas', 'sans'],
  ...['abuso', 'protección', 'ley', 'tribunal', 'condenado', 'víctima', 'víctimas', 'estudio', 'contra', 'sin'],
];
const AGE =
  /\b(?:[1-9]|1[0-7])[ -](?:year|years|yr)[ -]olds?\b|\b(?:[1-9]|1[0-7])[ -]?jährige[rsn]?\b|\bde (?:[1-9]|1[0-7]) (?:ans|años)\b/giu;

const explicit = new Matcher(EXPLICIT);
const minor = new Matcher(MINOR);
const about = new Matcher(ABOUT);

/** In characters: about twelve words. */
const NEAR = 90;
/** A line may well break inside a sentence; a blank line ends one. */
const endsAt = (text: string, at: number) =>
  '.!?。！？'.includes(text[at] ?? ' ') || (text[at] === '\n' && text[at + 1] === '\n');

/**
 * The check that every policy has: an explicit word close to a word for a minor, or an age under 18, in one sentence that has no
 * word of those who speak about it (law, medicine, protection). It knows words and no meaning: it is the floor under guard
 * models and judges, and not in their place. Category `sexual_minors`, severity 6.
 */
export function minors(): Filter {
  return {
    name: 'minors',
    version: '1',
    categories: [SEXUAL_MINORS],
    exact: true,
    inspect: async (segments) => segments.map(({ text }) => find(text)),
  };
}

function find(text: string): Finding[] {
  const said = explicit.find(text);
  if (said.length === 0) return [];
  const spans: Span[] = [];
  for (const one of said) {
    const sentence = sentenceAround(text, one);
    const part = text.slice(sentence.start, sentence.end);
    const close = [...minor.find(part), ...ages(part)].some(({ start, end }) => {
      const [from, to] = [start + sentence.start, end + sentence.start];
      return Math.max(from - one.end, one.start - to) <= NEAR;
    });
    if (!close || about.find(part).length > 0) continue;
    if (sentence.start >= (spans.at(-1)?.end ?? 0)) spans.push(sentence);
  }
  return spans.length === 0 ? [] : [{ category: SEXUAL_MINORS, severity: 6, score: 1, label: SEXUAL_MINORS, spans }];
}

function ages(text: string): Span[] {
  return [...text.matchAll(AGE)].map((match) => ({ start: match.index, end: match.index + match[0].length }));
}

/** At most so far to either side: a text without full stops is no sentence. */
const LONGEST_SENTENCE = 400;

function sentenceAround(text: string, { start, end }: Span): Span {
  let from = start;
  while (from > 0 && start - from < LONGEST_SENTENCE && !endsAt(text, from - 1)) from--;
  let to = end;
  while (to < text.length && to - end < LONGEST_SENTENCE && !endsAt(text, to)) to++;
  return { start: from, end: to };
}
