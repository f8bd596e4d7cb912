import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FilterContext } from '../port.ts';
import { checkRule, type PatternRule, type Rule, RuleError, rules } from './index.ts';
import { Held, literalOf } from './literal.ts';
import { compileRegexp } from './regexp.ts';
import { looksAtEnds, spansOf } from './spans.ts';

const context: FilterContext = {
  tenant: 'default',
  batchId: 'batch_1',
  customId: 'a',
  asked: [],
  selfVerdicts: [],
  signal: new AbortController().signal,
};

const pattern = (source: string, more: Partial<PatternRule> = {}): PatternRule => ({
  name: 'r',
  category: 'internal',
  severity: 4,
  pattern: source,
  ...more,
});

const look = async (list: Rule[], text: string, id = 'choices.0.content') =>
  (await rules(list).inspect([{ id, text }], context))[0] ?? [];

const found = async (rule: PatternRule, text: string) =>
  (await look([rule], text)).flatMap(({ spans }) => spans.map(({ start, end }) => text.slice(start, end)));

/** Seconds of computing, whatever else the machine does. */
describe('patterns', () => {
  test('each match is found with its place, and its rule names category, severity and label', async () => {
    const list = [
      pattern('ACME-\\d{6}', { name: 'internal_id', flags: 'i' }),
      pattern('\\bproject (falcon|condor)\\b', { name: 'project', category: 'codename', severity: 6 }),
    ];
    const text = '😀 acme-123456, ACME-654321 and project condor';
    expect(await look(list, text)).toEqual([
      {
        category: 'internal',
        severity: 4,
        score: 1,
        label: 'internal_id',
        spans: [
          { start: 3, end: 14 },
          { start: 16, end: 27 },
        ],
      },
      { category: 'codename', severity: 6, score: 1, label: 'project', spans: [{ start: 32, end: 46 }] },
    ]);
    expect(await look(list, 'nothing of it: ACME-12345')).toEqual([]);
    expect(rules(list).categories).toEqual(['internal', 'codename']);
  });

  test('flags: i, m, s, u', async () => {
    expect(await found(pattern('grüße', { flags: 'i' }), 'GRÜSSE GRÜßE')).toEqual(['GRÜßE']);
    expect(await found(pattern('^b.$', { flags: 'm' }), 'a1\nb2\nc3')).toEqual(['b2']);
    expect(await found(pattern('^b.$'), 'a1\nb2\nc3')).toEqual([]);
    expect(await found(pattern('a.b', { flags: 's' }), 'a\nb')).toEqual(['a\nb']);
    expect(await found(pattern('a.b'), 'a\nb')).toEqual([]);
    expect(await found(pattern('^.$', { flags: 'u' }), '😀')).toEqual(['😀']);
    expect(await found(pattern('\\QACME (1)', { flags: 'i' }), 'acme (1)')).toEqual(['acme (1)']);
  });

  test('a pattern that matches without a character is found in the text as a whole', async () => {
    expect(await look([pattern('\\b')], 'word')).toMatchObject([{ spans: [] }]);
    expect(await look([pattern('\\b')], '…')).toEqual([]);
  });

  test('the version changes with the rules', () => {
    expect(rules([pattern('a')]).version).not.toBe(rules([pattern('b')]).version);
    expect(rules([pattern('a')]).version).toBe(rules([pattern('a')]).version);
  });

  test('more rules than one automaton holds are all looked for', async () => {
    const list = Array.from({ length: 100 }, (_, i) => pattern(`id-${i}\\b`, { name: `r${i}` }));
    expect((await look(list, 'id-7 id-99')).map(({ label }) => label)).toEqual(['r7', 'r99']);
  });
});

test.each<[Partial<PatternRule>, RegExp]>([
  [{ pattern: '(a' }, /has a pattern that RE2 does not take: missing closing \), at \(a$/],
  [{ pattern: 'a(?=b)' }, /Look-ahead and look-behind are not in RE2/],
  [{ pattern: '(?<!a)b' }, /Look-ahead and look-behind are not in RE2/],
  [{ pattern: '(a)\\1' }, /Back-references are not in RE2/],
  [{ pattern: 'a{2000}' }, /invalid repeat count/],
  [{ pattern: '[z-a]' }, /invalid character class range/],
  [{ pattern: 'a*' }, /fits an empty text/],
  [{ pattern: 'a', flags: 'g' }, /flag 'g' is not one of i, m, s and u/],
])('a rule that cannot work is refused with the reason: %j', (change, why) => {
  const rule = pattern('a', { name: 'bad', ...change });
  expect(checkRule(rule)).toMatch(why);
  expect(() => rules([rule])).toThrow(RuleError);
  expect(() => rules([rule])).toThrow(`rule 'bad' ${checkRule(rule)}`);
});

test('a rule that works has nothing to say', () => {
  expect(checkRule(pattern('ACME-\\d{6}', { flags: 'ims' }))).toBeNull();
});

test('which patterns look at the ends of the text', () => {
  for (const yes of ['^a', 'a$', '(a|^)b', '\\Aa', 'a\\z', 'x\\[$', '\\\\$', '[a]$', '[[:alpha:]$]$', '\\Q^'])
    expect(looksAtEnds(yes), yes).toBe(true);
  for (const no of ['[^a]', 'a\\$', '[$]', '\\^', '[]^$]', '[[:alpha:]$^]', '\\\\a', '(?im)^a$'])
    expect(looksAtEnds(no), no).toBe(false);
  expect(looksAtEnds('^a$', 'm')).toBe(false);
  expect(looksAtEnds('(?-m:^a$)', 'm')).toBe(true);
});

test('what every match of a pattern holds', () => {
  const literals: [string, string | null][] = [
    ['ACME-\\d{6}', 'ACME-'],
    ['\\bfoo[a-z]+barbar?\\b', 'barba'],
    ['(abc)?xy+z', 'xy'],
    ['[abc]\\[xyz', 'xyz'],
    ['\\d{10}', null],
    ['\\d{16,20}-', null],
    ['[A-Z]{12}', null],
    ['\\x41bc', null],
    ['\\p{Lu}ab', null],
    ['\\pNab', null],
    ['\\Qab\\E*c', null],
    ['abc|de', null],
    ['(?i)abc', null],
    ['ab{0}', null],
  ];
  for (const [source, literal] of literals) expect(literalOf(source), source).toBe(literal);
  expect(literalOf('ABc\\d', 'i')).toBe('abc');
});

test('letters in whatever case, as RE2 takes them', () => {
  const letters = ['k', 'K', '\u212a', 's', 'S', 'ſ', 'i', 'I', 'İ', 'ı', 'ß', 'Σ', 'a', ' '];
  const text = fc.array(fc.constantFrom(...letters), { maxLength: 12 }).map((all) => all.join(''));
  const patterns = ['ks', 'KIS', 'sk', 'ia', 'kis?a'].map((pattern) => ({
    regexp: compileRegexp(pattern, 'i'),
    literal: literalOf(pattern, 'i') ?? '',
  }));
  fc.assert(
    fc.property(fc.constantFrom(...patterns), text, ({ regexp, literal }, t) => {
      if (regexp.test(t)) expect(new Held(t).has(literal, true)).toBe(true);
    }),
    { numRuns: 3_000 },
  );
  expect(new Held('the \u212aiosſ').has('kioss', true)).toBe(true);
});

test('a text is not passed over for want of a literal', () => {
  const char = fc.constantFrom('a', 'b', '1', '2', '-', '\\d', '\\-', '\\.', '[ab]', '[^a]', '.', '(ab)', '(a1)');
  const often = fc.constantFrom('', '', '', '?', '*', '+', '{0}', '{1,2}', '{0,12}', '{2}', '??');
  const source = fc.array(fc.tuple(char, often), { minLength: 1, maxLength: 6 }).map((all) => all.flat().join(''));
  const text = fc.array(fc.constantFrom('a', 'b', '1', '2', '-', '.', ' '), { maxLength: 30 }).map((c) => c.join(''));
  fc.assert(
    fc.property(source, text, (s, t) => {
      const literal = literalOf(s);
      if (literal !== null) for (const [match] of t.matchAll(new RegExp(s, 'g'))) expect(match).toContain(literal);
    }),
    { numRuns: 3_000 },
  );
});

describe('long texts, which are searched in windows', () => {
  const cell = fc.constantFrom('a', 'b', 'ab', ' ', '\n', '😀', 'é', '12', 'ACME-1', 'x'.repeat(500));
  const text = fc
    .array(cell, { minLength: 1, maxLength: 60 })
    .chain((part) => fc.integer({ min: 1, max: 120 }).map((times) => part.join('').repeat(times)));
  test.each([
    'a',
    'ab+',
    '\\bab\\b',
    '\\d+',
    'ACME-\\d',
    '.',
    '(?m)^a',
    '(?m)b$',
    '(?m)^.*1.*$',
    '[^ ]{1,9} ',
    'a|ab',
    '(?s)b.{3}a',
  ])('%s is found where a search of the whole finds it', (source) => {
    const regexp = compileRegexp(source);
    fc.assert(
      fc.property(text, (t) => {
        const whole = [
          ...t.matchAll(new RegExp(source.replace(/^\(\?\w\)/, ''), `gu${/^\(\?(\w)\)/.exec(source)?.[1] ?? ''}`)),
        ].map((m) => ({
          start: m.index,
          end: m.index + m[0].length,
        }));
        const spans = spansOf(regexp, t, looksAtEnds(source));
        if (whole.length === 0 || whole.length > 4_096) expect(spans).toBeNull();
        else expect(spans).toEqual(whole);
      }),
      { numRuns: 60 },
    );
  });

  test('a match longer than a window is found whole, or to the end of the text', async () => {
    const key = `KEY${'k'.repeat(30_000)}`;
    const before = 'some words '.repeat(500);
    expect(await found(pattern('KEYk+'), `${before}${key} and KEYk`)).toEqual([key, 'KEYk']);
    expect(await found(pattern('\\bKEYk+\\b'), `${before}${key} and KEYk`)).toEqual([key, 'KEYk']);
    const rest = `KEY${'k'.repeat(100_000)} end`;
    expect(await found(pattern('KEYk+'), `${before}${rest}`)).toEqual([rest]);
  });

  test('a match whose end is far away makes the text as a whole the finding', async () => {
    const text = `BEGIN ${'words '.repeat(5_000)} END`;
    expect(await look([pattern('BEGIN.*END')], text)).toMatchObject([{ spans: [] }]);
  });

  test('a boundary of a window is no boundary of a word or a line', async () => {
    const text = 'x'.repeat(100_000);
    expect(await look([pattern('x{5}\\b.'), pattern('(?m)x{5}$\\n')], text)).toEqual([]);
    expect(await found(pattern('x{5}\\b'), text)).toEqual(['xxxxx']);
  });
});

/** Patterns and texts that made backtracking engines stand still: published CVEs and the classics. */
const REDOS: [string, (n: number) => string][] = [
  ['(a+)+$', (n) => `${'a'.repeat(n)}!`],
  ['^(a+)+$', (n) => `${'a'.repeat(n)}!`],
  ['(a|a)*$b', (n) => 'a'.repeat(n)],
  ['(a|aa)+c', (n) => 'a'.repeat(n)],
  ['(x+x+)+y', (n) => 'x'.repeat(n)],
  ['([a-zA-Z]+)*1', (n) => 'a'.repeat(n)],
  ['(.*)*=(.*)*;', (n) => '='.repeat(n)],
  ['(.*a){20}c', (n) => 'a'.repeat(n)],
  ['^(([a-z])+.)+[A-Z]([a-z])+$', (n) => 'a'.repeat(n)],
  ['(\\w+\\s?)*$!', (n) => 'word '.repeat(n / 5)],
  ['\\s+$', (n) => `${' '.repeat(n)}x`],
  ['(?:(?:[a-z]+)+,?)+@', (n) => 'a,'.repeat(n / 2)],
  [
    '^([a-zA-Z0-9])(([\\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}(([a-z]{2,3})|([a-z]{2,3}[.]{1}[a-z]{2,3}))$',
    (n) => 'a'.repeat(n),
  ],
  ['^(\\d+(,\\d+)*)+$', (n) => `${'1,'.repeat(n / 2)}x`],
  ['<[^>]*(<[^>]*)*>\\z', (n) => '<'.repeat(n)],
  ['(ab*)*[^abc]', (n) => 'ab'.repeat(n / 2)],
  // Each search is linear here in any automaton, but reads on to the end for each match.
  ['a.*b|a', (n) => 'a'.repeat(n)],
  ['(?s)a.*b|a', (n) => 'a\n'.repeat(n / 2)],
  ['[a-z]+;|[a-z]', (n) => 'a'.repeat(n)],
  ['\\b(a.*b)?', (n) => 'a '.repeat(n / 2)],
  ['(^|a).*b|a', (n) => 'a'.repeat(n)],
  ['(?s)a.*\\b!|a', (n) => 'a'.repeat(n)],
  ['(?s)a.*\\b', (n) => '. a'.repeat(n / 3)],
  // An automaton with more states than can be kept.
  ['(a|b)*a(a|b){14}c', (n) => 'abaababbab'.repeat(n / 10)],
];

describe('no pattern takes long', () => {
  test.each(REDOS)('%s', async (source, text) => {
    const rule = pattern(source);
    // An exponential or quadratic search of 100,000 characters takes minutes at the least: the test's own limit ends it.
    expect(await look([rule], text(100_000))).toBeInstanceOf(Array);
  });

  test('an answer of ten megabytes is searched to its end', async () => {
    const list = ['ACME-\\d{6}', '[a-z]+@corp\\.example', '(?:0x)?[0-9a-f]{32,64}'].map((p) =>
      pattern(p, { flags: 'i' }),
    );
    const filter = rules(list);
    const text = `${'Some words of a long answer, 12 of them. '.repeat(250_000)} ACME-123456`;
    const [found] = await filter.inspect([{ id: 'choices.0.content', text }], context);
    expect(found).toMatchObject([{ spans: [{ start: text.length - 11, end: text.length }] }]);
  });

  test('whatever pattern and text are put together, each ends soon', async () => {
    const atom = fc.constantFrom('a', 'b', '.', '\\w', '[ab]', '(a|ab)', '(a*b)', '\\b', '$', '^');
    const piece = fc.tuple(atom, fc.constantFrom('', '*', '+', '?', '{2,5}')).map(([a, q]) => `(?:${a})${q}`);
    const source = fc.array(piece, { minLength: 1, maxLength: 5 }).map((pieces) => pieces.join(''));
    const alternatives = fc.array(source, { minLength: 1, maxLength: 3 }).map((all) => all.join('|'));
    const word = fc
      .array(fc.constantFrom('a', 'b', 'c', ' ', '\n'), { minLength: 1, maxLength: 6 })
      .map((c) => c.join(''));
    await fc.assert(
      fc.asyncProperty(alternatives, word, async (p, w) => {
        const rule = pattern(p);
        if (checkRule(rule) !== null) return;
        const text = w.repeat(Math.ceil(20_000 / w.length));
        const [one] = await look([rule], text);
        const spans = one?.spans ?? [];
        for (const [i, { start, end }] of spans.entries()) {
          expect(start).toBeLessThan(end);
          expect(start).toBeGreaterThanOrEqual(spans[i - 1]?.end ?? 0);
          expect(end).toBeLessThanOrEqual(text.length);
        }
      }),
      { numRuns: 60 },
    );
  });
});
