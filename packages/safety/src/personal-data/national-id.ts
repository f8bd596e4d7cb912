import numbers from 'stdnum';
import { isAlphanumeric, type Span } from './span.ts';

interface Form {
  /** As people write it; separators are optional unless the form alone would be anything. */
  pattern: RegExp;
  isValid(text: string): boolean;
  /** Digits alone are many things: a word before them must say what these are. `null`: the form says enough. */
  said: RegExp | null;
}

const check = (country: string, name: string, text: string) =>
  numbers.stdnum[country]?.[name]?.validate(text).isValid === true;
const by = (country: string, name: string) => (text: string) => check(country, name, text.replaceAll(/[\s.·-]/g, ''));

/**
 * National ids with check digits, or with a form of their own. The check digits by `stdnum`
 * (https://github.com/koblas/stdnum-js).
 */
const FORMS: readonly Form[] = [
  // US: 3-2-4 with hyphens is a Social Security number; without, only where it is called one.
  { pattern: /\b\d{3}-\d{2}-\d{4}\b/g, isValid: isSsn, said: null },
  { pattern: /\b\d{3} ?\d{2} ?\d{4}\b/g, isValid: isSsn, said: /\bssn\b|social security/i },
  {
    pattern: /\b\d{2} ?\d{3} ?\d{3} ?\d{3}\b/g,
    isValid: by('DE', 'idnr'),
    said: /steuer|idnr|id-nr|tax id|\btin\b/i,
  },
  {
    pattern: /\b[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?\d(?:\d|[AB]) ?\d{3} ?\d{3} ?\d{2}\b/g,
    isValid: isNir,
    said: null,
  },
  { pattern: /\b\d{8}[ -]?[A-HJ-NP-TV-Z]\b/g, isValid: by('ES', 'dni'), said: null },
  { pattern: /\b[XYZ][ -]?\d{7}[ -]?[A-HJ-NP-TV-Z]\b/g, isValid: by('ES', 'nie'), said: null },
  {
    pattern: /\b[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]\b/gi,
    isValid: (text) => check('IT', 'codicefiscale', text.toUpperCase()),
    said: null,
  },
  { pattern: /\b\d{11}\b/g, isValid: by('PL', 'pesel'), said: /pesel/i },
  { pattern: /\b\d{4}[. ]?\d{2}[. ]?\d{3}\b/g, isValid: by('NL', 'bsn'), said: /\bbsn\b|burgerservice|sofi/i },
  {
    pattern: /\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b/g,
    isValid: by('GB', 'nino'),
    said: null,
  },
  { pattern: /\b\d{3}[ -]?\d{3}[ -]?\d{4}\b/g, isValid: isNhs, said: /\bnhs\b/i },
  { pattern: /\b(?:19|20)?\d{6}[-+]\d{4}\b/g, isValid: isPersonnummer, said: null },
  { pattern: /\b\d{3}\.\d{3}\.\d{3}-\d{2}\b/g, isValid: by('BR', 'cpf'), said: null },
  { pattern: /\b\d{11}\b/g, isValid: by('BR', 'cpf'), said: /\bcpf\b/i },
  { pattern: /\b[2-9]\d{3} \d{4} \d{4}\b/g, isValid: by('IN', 'aadhaar'), said: null },
  { pattern: /\b[2-9]\d{11}\b/g, isValid: by('IN', 'aadhaar'), said: /aadh?aar|\buid/i },
];

function isSsn(text: string): boolean {
  return check('US', 'ssn', text.replaceAll(/[ -]/g, ''));
}

/** The key is 97 minus the number modulo 97, Corsica's departments as 19 and 18. */
function isNir(text: string): boolean {
  const plain = text.replaceAll(' ', '').replace('2A', '19').replace('2B', '18');
  return /^\d{15}$/.test(plain) && 97n - (BigInt(plain.slice(0, 13)) % 97n) === BigInt(plain.slice(13));
}

/** Modulus 11 with weights 10 to 2. */
function isNhs(text: string): boolean {
  const digits = [...text.replaceAll(/[ -]/g, '')].map(Number);
  const sum = digits.slice(0, 9).reduce((total, digit, i) => total + digit * (10 - i), 0);
  const check = 11 - (sum % 11);
  return check !== 10 && (check === 11 ? 0 : check) === digits[9];
}

function isPersonnummer(text: string): boolean {
  const short = text.replace(/^(19|20)(?=\d{6}[-+])/, '');
  const month = Number(short.slice(2, 4));
  const day = Number(short.slice(4, 6));
  return month >= 1 && month <= 12 && day >= 1 && day <= 31 && check('SE', 'personnummer', short);
}

/** Where there may be an id: two digits and what goes with them. All patterns look only there, since prose has few of these. */
const AREAS = /\d[\d .·+A-Za-z-]{4,24}\d[A-Za-z]?/g;
/** Letters that an id may begin with. */
const LETTERS_BEFORE = 8;
const LETTERS_AFTER = 4;
const LOOK_BACK = 48;

/** National ids in a text; `label` is what stands before it on a form. Each pattern is of bounded length, so this is linear. */
export function findNationalIds(text: string, label: string): Span[] {
  const spans: Span[] = [];
  for (const area of text.matchAll(AREAS)) {
    const from = Math.max(0, area.index - LETTERS_BEFORE);
    spans.push(...findIn(text, from, area.index + area[0].length + LETTERS_AFTER, label));
  }
  return spans;
}

function findIn(text: string, from: number, to: number, label: string): Span[] {
  const spans: Span[] = [];
  const part = text.slice(from, to);
  for (const { pattern, isValid, said } of FORMS) {
    for (const match of part.matchAll(pattern)) {
      const start = from + match.index;
      const end = start + match[0].length;
      if (isPartOfMore(text, start, end) || !isValid(match[0])) continue;
      const before = `${label} ${text.slice(Math.max(0, start - LOOK_BACK), start)}`;
      if (said === null || said.test(before)) spans.push({ start, end, kind: 'national_id' });
    }
  }
  return spans;
}

/** `4711-123-45-6789` is something else. */
function isPartOfMore(text: string, start: number, end: number): boolean {
  const joins = (at: number, step: number) =>
    '-./_'.includes(text[at] ?? ' ') && isAlphanumeric(text.charCodeAt(at + step));
  return joins(start - 1, -1) || joins(end, 1) || '$€£'.includes(text[start - 1] ?? ' ');
}
