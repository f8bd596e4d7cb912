import { personalData, secrets } from '@batchmill/safety';
import { faker, fakerDE, fakerEN_GB, fakerEN_US, fakerES, fakerFR, fakerIT, fakerNL, fakerPL } from '@faker-js/faker';
import type { BenchOptions } from './main.ts';

/**
 * How well the personal-data filter finds what it says it finds: generated e-mail addresses, phones, cards, IBANs and national
 * ids in running text of eight locales, among look-alikes (order numbers, versions, dates, prices, ISBNs, coordinates, cards and
 * IBANs with a wrong check digit). `recall`: share of planted spans of which every digit and letter was found; `precision`:
 * share of found spans that overlap a planted one. The texts follow from a seed that was not looked at while the filter was
 * written.
 */
const SEED = 20_261_125;

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
  planted: boolean;
}

export async function run({ quick }: BenchOptions): Promise<Record<string, number>> {
  faker.seed(SEED);
  for (const locale of LOCALES) locale.faker.seed(SEED);
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
  for (const locale of LOCALES) {
    const filters = [personalData({ region: locale.region }), secrets()];
    for (let i = 0; i < (quick ? 60 : 300); i++) {
      const { text, spans } = document(locale);
      const all = await Promise.all(filters.map((filter) => filter.inspect([{ id: 'a', text }], context)));
      const got = all.flatMap(([findings = []]) => findings.flatMap((finding) => finding.spans));
      planted += spans.length;
      found += got.length;
      for (const span of spans) {
        if (got.some((g) => g.start <= span.start && g.end >= span.end)) right++;
        else missed.push(`${locale.region} ${text.slice(span.start, span.end)}`);
      }
      for (const g of got) {
        if (spans.some((span) => g.start < span.end && span.start < g.end)) hits++;
        else wrong.push(`${locale.region} ${text.slice(Math.max(0, g.start - 15), g.end)}`);
      }
    }
  }
  process.stderr.write(`${planted} spans planted, ${found} found\n`);
  for (const one of missed.filter((_, i) => i % Math.ceil(missed.length / 40) === 0))
    process.stderr.write(`  missed  ${one}\n`);
  for (const one of wrong.slice(0, 12)) process.stderr.write(`  wrong   ${one}\n`);
  return { recall: Number((right / planted).toFixed(4)), precision: Number((hits / Math.max(1, found)).toFixed(4)) };
}

/** A few sentences with something planted in about half, and look-alikes in the others. */
function document(locale: Locale): { text: string; spans: { start: number; end: number }[] } {
  let text = '';
  const spans: { start: number; end: number }[] = [];
  for (let i = 0; i < 4; i++) {
    text += `${locale.faker.lorem.sentence()} `;
    const piece = faker.datatype.boolean() ? secret(locale) : lookAlike();
    const [before, after] = around(piece);
    text += before;
    if (piece.planted) spans.push({ start: text.length, end: text.length + piece.text.length });
    text += `${piece.text}${after} `;
  }
  return { text, spans };
}

function around({ text }: Piece): [string, string] {
  return faker.helpers.arrayElement<[string, string]>([
    ['', '.'],
    ['(', ')'],
    ['– ', ','],
    [text.startsWith('+') ? 'Tel. ' : ': ', ';'],
    ['"', '"'],
  ]);
}

function secret({ faker: local, region }: Locale): Piece {
  const kinds: (() => string)[] = [
    () => local.internet.email(),
    () => local.internet.email().toLowerCase(),
    () => local.phone.number({ style: 'international' }),
    () => spaced(local.phone.number({ style: 'international' }), region),
    () =>
      faker.finance
        .creditCardNumber({ issuer: '4###-####-####-###L' })
        .replaceAll('-', faker.helpers.arrayElement(['-', ' ', ''])),
    () => faker.finance.creditCardNumber({ issuer: 'mastercard' }),
    () => faker.finance.iban({ formatted: true }),
    () => faker.finance.iban(),
    () => nationalId(region),
  ];
  return { text: faker.helpers.arrayElement(kinds)(), planted: true };
}

/** `+4930123456` as people write it. */
function spaced(number: string, region: string): string {
  const code = region === 'US' ? 2 : 3;
  const rest = number.slice(code).replace(/(\d{3})(?=\d{2,})/g, '$1 ');
  return `${number.slice(0, code)} ${rest}`;
}

function nationalId(region: string): string {
  const digits = (n: number) => faker.string.numeric(n);
  if (region === 'ES') {
    const number = digits(8);
    return `${number}${'TRWAGMYFPDXBNJZSQVHLCKE'[Number(number) % 23]}`;
  }
  if (region === 'GB') return `AB ${digits(2)} ${digits(2)} ${digits(2)} C`;
  if (region === 'FR') {
    const body = `${faker.helpers.arrayElement(['1', '2'])}${digits(2)}0${faker.number.int({ min: 1, max: 9 })}75${digits(6)}`;
    return `${body}${String(97n - (BigInt(body) % 97n)).padStart(2, '0')}`;
  }
  if (region === 'IT') return 'RCCMNL83S18D969H';
  return `${faker.number.int({ min: 101, max: 665 })}-${faker.number.int({ min: 10, max: 99 })}-${faker.number.int({ min: 1_000, max: 9_999 })}`;
}

function lookAlike(): Piece {
  const wrongCard = () => {
    const card = faker.finance.creditCardNumber({ issuer: '4###-####-####-###L' }).replaceAll('-', '');
    return `${card.slice(0, -1)}${(Number(card.at(-1)) + 1) % 10}`;
  };
  const wrongIban = () => {
    const iban = faker.finance.iban();
    return `${iban.slice(0, 2)}${String((Number(iban.slice(2, 4)) + 1) % 97).padStart(2, '0')}${iban.slice(4)}`;
  };
  const kinds: (() => string)[] = [
    () => `#${faker.string.numeric(10)}`,
    () => `v${faker.system.semver()}`,
    () => faker.date.past().toISOString(),
    () => `${faker.commerce.price({ min: 1_000, max: 99_999 })} EUR`,
    () => faker.commerce.isbn(),
    () => `${faker.location.latitude()}, ${faker.location.longitude()}`,
    () => faker.internet.ipv4(),
    () => faker.string.uuid(),
    () => `${faker.number.int({ min: 1_000, max: 9_999_999 })}`,
    () => faker.internet.username(),
    () => faker.internet.domainName(),
    () => faker.git.commitSha(),
    wrongCard,
    wrongIban,
  ];
  return { text: faker.helpers.arrayElement(kinds)(), planted: false };
}
