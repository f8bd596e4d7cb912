import { personalData } from '@batchmill/safety/personal-data';
import { secrets } from '@batchmill/safety/secrets';
import { faker, fakerDE, fakerEN_GB, fakerEN_US, fakerES, fakerFR, fakerIT, fakerNL, fakerPL } from '@faker-js/faker';
import { isValidPhoneNumber } from 'libphonenumber-js/max';
import type { BenchOptions } from './main.ts';

/**
 * How well the personal-data filter finds what it says it finds: generated e-mail addresses, phones (international, and as they
 * are written at home), cards, IBANs and national ids in running text of eight locales, among look-alikes (order and tracking
 * numbers, bar codes, versions, dates, times, prices, coordinates, hashes, package names, and cards, IBANs and ids with a wrong check
 * digit). `recall`: share of planted spans of which every digit and letter was found; `precision`: share of found spans that overlap a
 * planted one. Numbers and check digits are made by faker and by this file, not by the libraries that the filter checks with; of
 * national phone numbers, which faker makes up digit by digit, only those are planted that are in the country's numbering plan. The
 * seeds were not looked at while the filter was written.
 */
const SEEDS = [20_261_125, 31_337, 77_003];

const LOCALES = [
  { region: 'US', faker: fakerEN_US },
  { region: 'GB', faker: fakerEN_GB },
  { region: 'DE', faker: fakerDE },
  { region: 'FR', faker: fakerFR },
  { region: 'ES', faker: fakerES },
  { region: 'IT', faker: fakerIT },
  { region: 'NL', faker: fakerNL },
  { region: 'PL', faker: fakerPL },
] as const;
type Locale = (typeof LOCALES)[number];

interface Piece {
  text: string;
  /** What it is, if it is planted. */
  kind: string | null;
  /** What a form or a sentence says before it. */
  label?: string;
}

export async function run({ quick }: BenchOptions): Promise<Record<string, number>> {
  let planted = 0;
  let found = 0;
  let right = 0;
  let hits = 0;
  const missed: string[] = [];
  const wrong: string[] = [];
  const context = {
    tenant: '',
    batchId: '',
    customId: '',
    asked: [],
    selfVerdicts: [],
    signal: new AbortController().signal,
  };
  const kinds = new Map<string, { planted: number; right: number }>();
  for (const [n, locale] of [...SEEDS.keys()].flatMap((n) => LOCALES.map((locale) => [n, locale] as const))) {
    faker.seed((SEEDS[n] ?? 0) + LOCALES.indexOf(locale));
    locale.faker.seed((SEEDS[n] ?? 0) + LOCALES.indexOf(locale));
    const filters = [personalData({ region: locale.region }), secrets()];
    for (let i = 0; i < (quick ? 20 : 150); i++) {
      const { text, spans } = document(locale);
      const all = await Promise.all(filters.map((filter) => filter.inspect([{ id: 'a', text }], context)));
      const got = all.flatMap(([findings = []]) => findings.flatMap((finding) => finding.spans));
      planted += spans.length;
      found += got.length;
      for (const span of spans) {
        const kind = kinds.get(span.kind) ?? { planted: 0, right: 0 };
        kinds.set(span.kind, kind);
        kind.planted++;
        if (got.some((g) => g.start <= span.start && g.end >= span.end)) {
          right++;
          kind.right++;
        } else missed.push(`${locale.region} ${text.slice(span.start, span.end)}`);
      }
      for (const g of got) {
        if (spans.some((span) => g.start < span.end && span.start < g.end)) hits++;
        else wrong.push(`${locale.region} ${text.slice(Math.max(0, g.start - 15), g.end)}`);
      }
    }
  }
  process.stderr.write(`${planted} spans planted, ${found} found\n`);
  for (const [kind, { planted: all, right: some }] of [...kinds].toSorted())
    process.stderr.write(`  ${kind}: ${some} of ${all}\n`);
  for (const one of missed.filter((_, i) => i % Math.ceil(missed.length / 40) === 0))
    process.stderr.write(`  missed  ${one}\n`);
  for (const one of wrong.slice(0, 30)) process.stderr.write(`  wrong   ${one}\n`);
  return { recall: Number((right / planted).toFixed(4)), precision: Number((hits / Math.max(1, found)).toFixed(4)) };
}

interface Planted {
  start: number;
  end: number;
  kind: string;
}

/** A few sentences with something planted in about half, and look-alikes in the others. */
function document(locale: Locale): { text: string; spans: Planted[] } {
  let text = '';
  const spans: Planted[] = [];
  for (let i = 0; i < 4; i++) {
    text += `${locale.faker.lorem.sentence()} `;
    const piece = faker.datatype.boolean() ? secret(locale) : lookAlike(locale);
    const [before, after] = around(piece);
    text += before;
    if (piece.kind !== null) spans.push({ start: text.length, end: text.length + piece.text.length, kind: piece.kind });
    text += `${piece.text}${after} `;
  }
  return { text, spans };
}

function around({ label }: Piece): [string, string] {
  if (label !== undefined)
    return [`${label}${faker.helpers.arrayElement([': ', ' ', ' = '])}`, faker.helpers.arrayElement(['.', ',', ' –'])];
  return faker.helpers.arrayElement<[string, string]>([
    ['', '.'],
    ['(', ')'],
    ['– ', ','],
    [': ', ';'],
    ['"', '"'],
    ['| ', ' |'],
    ['**', '**'],
  ]);
}

const TELEPHONE = {
  US: 'Phone',
  GB: 'Tel.',
  DE: 'Telefon',
  FR: 'Téléphone',
  ES: 'Teléfono',
  IT: 'Telefono',
  NL: 'Telefoon',
  PL: 'Telefon',
};

function secret({ faker: local, region }: Locale): Piece {
  const kinds: (() => Piece)[] = [
    () => ({ kind: 'email', text: local.internet.email() }),
    () => ({ kind: 'email', text: local.internet.email().toLowerCase() }),
    () => ({ kind: 'phone abroad', text: local.phone.number({ style: 'international' }) }),
    () => ({ kind: 'phone abroad', text: spaced(local.phone.number({ style: 'international' }), region) }),
    () => ({ kind: 'phone at home', text: atHome(local, region, 'national') }),
    () => ({ kind: 'phone at home, said', text: atHome(local, region, 'human'), label: TELEPHONE[region] }),
    () => ({
      kind: 'card',
      text: faker.finance
        .creditCardNumber({ issuer: '4###-####-####-###L' })
        .replaceAll('-', faker.helpers.arrayElement(['-', ' ', ''])),
    }),
    () => ({
      kind: 'card',
      text: faker.finance.creditCardNumber({ issuer: faker.helpers.arrayElement(['mastercard', 'american_express']) }),
    }),
    () => ({ kind: 'iban', text: faker.finance.iban({ formatted: true }) }),
    () => ({ kind: 'iban', text: faker.finance.iban() }),
    () => nationalId(region),
    () => nationalId(region),
  ];
  return faker.helpers.arrayElement(kinds)();
}

/** A number of the country's numbering plan, in one of the forms that faker has for it. */
function atHome(local: Locale['faker'], region: Locale['region'], style: 'human' | 'national'): string {
  for (;;) {
    const number = local.phone.number({ style }).replace(/ x\d+$/, '');
    if (!number.startsWith('+') && isValidPhoneNumber(number, region)) return number;
  }
}

/** `+4930123456` as people write it. */
function spaced(number: string, region: string): string {
  const code = region === 'US' ? 2 : 3;
  const rest = number.slice(code).replace(/(\d{3})(?=\d{2,})/g, '$1 ');
  return `${number.slice(0, code)} ${rest}`;
}

const digits = (n: number) => faker.string.numeric(n);
const pad = (n: number, length = 2) => String(n).padStart(length, '0');
const int = (min: number, max: number) => faker.number.int({ min, max });
const weighted = (number: string, weights: readonly number[]) =>
  weights.reduce((sum, weight, i) => sum + weight * Number(number[i]), 0);

/** Check digits as the authorities publish them. */
function nationalId(region: Locale['region']): Piece {
  const kind = `id ${region}`;
  switch (region) {
    case 'US':
      return { kind, text: `${pad(int(1, 665), 3)}-${pad(int(1, 99))}-${pad(int(1, 9_999), 4)}` };
    case 'GB': {
      const prefix = faker.helpers.arrayElement(['AB', 'CE', 'JG', 'LM', 'NX', 'PR', 'SK', 'WY', 'ZH']);
      const spaces = faker.helpers.arrayElement([' ', '']);
      return {
        kind,
        text: [prefix, digits(2), digits(2), digits(2), faker.helpers.arrayElement([...'ABCD'])].join(spaces),
      };
    }
    case 'DE':
      return {
        kind,
        text: taxId(),
        label: faker.helpers.arrayElement(['Steuer-ID', 'Steueridentifikationsnummer', 'IdNr.']),
      };
    case 'FR': {
      const body = `${int(1, 2)}${digits(2)}${pad(int(1, 12))}${pad(int(1, 95))}${pad(int(1, 990), 3)}${pad(int(1, 999), 3)}`;
      const number = `${body}${pad(Number(97n - (BigInt(body) % 97n)))}`;
      const spacedOut = number.replace(/^(.)(..)(..)(..)(...)(...)(..)$/, '$1 $2 $3 $4 $5 $6 $7');
      return { kind, text: faker.helpers.arrayElement([number, spacedOut]) };
    }
    case 'ES': {
      const number = digits(8);
      return {
        kind,
        text: `${number}${faker.helpers.arrayElement(['', '-'])}${'TRWAGMYFPDXBNJZSQVHLCKE'[Number(number) % 23]}`,
      };
    }
    case 'IT':
      return { kind, text: fiscalCode() };
    case 'NL': {
      for (;;) {
        const number = `${int(1, 9)}${digits(8)}`;
        if (weighted(number, [9, 8, 7, 6, 5, 4, 3, 2, -1]) % 11 === 0) return { kind, text: number, label: 'BSN' };
      }
    }
    case 'PL': {
      const born = `${pad(int(50, 99))}${pad(int(1, 12))}${pad(int(1, 28))}${digits(4)}`;
      const check = (10 - (weighted(born, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10)) % 10;
      return { kind, text: `${born}${check}`, label: 'PESEL' };
    }
  }
}

/** Ten digits, of which one is there twice and none more often, and a check digit (ISO 7064, mod 11,10). */
function taxId(): string {
  const nine = faker.helpers.shuffle([...'0123456789']).slice(0, 9);
  const ten = faker.helpers.shuffle([...nine, nine[0] ?? '0']);
  if (ten[0] === '0') return taxId();
  const product = ten.reduce((sum, digit) => {
    const rest = (Number(digit) + sum) % 10 || 10;
    return (2 * rest) % 11;
  }, 10);
  return `${ten.join('')}${(11 - product) % 10}`;
}

/** As the decree of 23 December 1976 has it. */
function fiscalCode(): string {
  const consonants = () => faker.string.fromCharacters('BCDFGLMNPRSTVZ', 3);
  const day = int(1, 28) + (faker.datatype.boolean() ? 40 : 0);
  const month = faker.string.fromCharacters('ABCDEHLMPRST', 1);
  const body = `${consonants()}${consonants()}${digits(2)}${month}${pad(day)}${faker.string.fromCharacters('ABCDEFGHL', 1)}${digits(3)}`;
  const odd = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
  const value = (letter: string) => (/\d/.test(letter) ? Number(letter) : letter.charCodeAt(0) - 65);
  const sum = [...body].reduce(
    (total, letter, i) => total + (i % 2 === 0 ? (odd[value(letter)] ?? 0) : value(letter)),
    0,
  );
  return `${body}${String.fromCharCode(65 + (sum % 26))}`;
}

/** The same with another check digit or letter at its end. */
function wrong(right: string): string {
  const last = right.at(-1) ?? '';
  const other = /\d/.test(last) ? String((Number(last) + 1) % 10) : last === 'A' ? 'B' : 'A';
  return `${right.slice(0, -1)}${other}`;
}

function lookAlike(locale: Locale): Piece {
  const wrongIban = () => {
    const iban = faker.finance.iban();
    return `${iban.slice(0, 2)}${pad((Number(iban.slice(2, 4)) + 1) % 97)}${iban.slice(4)}`;
  };
  const year = () => int(1_900, 2_030);
  const kinds: (() => string)[] = [
    () => `#${digits(10)}`,
    () => `SN-${year()}-${digits(6)}`,
    () => `4711-${digits(4)}-${digits(2)}`,
    () => `1Z${faker.string.alphanumeric({ length: 6, casing: 'upper' })}${digits(10)}`,
    () => `400${digits(10)}`,
    () => `v${faker.system.semver()}`,
    () => faker.date.past().toISOString(),
    () => `${pad(int(1, 28))}.${pad(int(1, 12))}.${year()} ${pad(int(0, 23))}:${pad(int(0, 59))}`,
    () => `${year()}-${pad(int(1, 12))}-${pad(int(1, 28))} ${pad(int(0, 23))}:${pad(int(0, 59))}`,
    () => `${year()}–${year()}`,
    () => `${pad(int(0, 23))}:${pad(int(0, 59))}-${pad(int(0, 23))}:${pad(int(0, 59))}`,
    () => `${int(10, 21)}-${int(10, 21)}, ${int(10, 21)}-${int(10, 21)}`,
    () => `1${digits(9)}`,
    () => `17${digits(11)}`,
    () => `${int(1, 999)}.${digits(3)}.${digits(3)},${digits(2)} EUR`,
    () => `$${int(1, 999)},${digits(3)},${digits(3)}.${digits(2)}`,
    () => `${int(1, 999)} ${digits(3)} ${digits(3)}`,
    () => `${faker.commerce.price({ min: 1_000, max: 99_999 })} EUR`,
    () => `0.${digits(16)}`,
    () => faker.commerce.isbn(),
    () => `10.${digits(4)}/${faker.string.alphanumeric(8)}.${digits(4)}`,
    () => `${int(50, 9_999)}-${digits(2)}-${digits(1)}`,
    () => `${faker.location.latitude()}, ${faker.location.longitude()}`,
    () => faker.location.zipCode('#####-####'),
    () => faker.internet.ipv4(),
    () => faker.internet.ipv6(),
    () => faker.internet.mac(),
    () => faker.string.uuid(),
    () => `${int(1_000, 9_999_999)}`,
    () => faker.internet.username(),
    () => `@${faker.internet.username()}`,
    () => `${faker.internet.username()}@localhost`,
    () => `${faker.hacker.noun().replaceAll(' ', '-')}@${faker.system.semver()}`,
    () => `icon-${int(16, 512)}@2x.png`,
    () => faker.internet.domainName(),
    () => faker.git.commitSha(),
    () => faker.string.hexadecimal({ length: 16 }),
    () => `000-${digits(2)}-${digits(4)}`,
    () => wrong(faker.finance.creditCardNumber({ issuer: '4###-####-####-###L' }).replaceAll('-', '')),
    () => wrong(faker.finance.creditCardNumber({ issuer: '4###-####-####-###L' })),
    wrongIban,
    () => wrongIban().replace(/(.{4})(?=.)/g, '$1 '),
  ];
  // A number that is called an id and is none: its check digit is wrong. Those of these two countries have none to be wrong.
  const id = locale.region === 'US' || locale.region === 'GB' ? null : nationalId(locale.region);
  if (id !== null && int(1, kinds.length) === 1) return { ...id, kind: null, text: wrong(id.text) };
  return { kind: null, text: faker.helpers.arrayElement(kinds)() };
}
