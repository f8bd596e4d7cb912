import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ACTIONS } from '../port.ts';
import { KNOWN_CATEGORIES } from '../taxonomy.ts';
import { actionFor, DEFAULT_POLICY, Policy, PolicyError, policyHash, strictest } from './index.ts';
import { parsePolicy } from './parse.ts';

const policy = (rest: string) => parsePolicy(`version: 1\nname: test\n${rest}`, 'p.yaml');
const problems = (text: string): string[] => {
  try {
    parsePolicy(text, 'p.yaml');
    return [];
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    return error.message.split('\n');
  }
};

describe('a policy file', () => {
  it('is read, short forms and all', () => {
    expect(policy('filters: {personal_data: {region: DE}}\ncategories: {personal_data: redact}')).toMatchObject({
      name: 'test',
      filters: { personal_data: { region: ['DE'], kinds: ['card', 'email', 'iban', 'national_id', 'phone'] } },
      categories: { personal_data: { redact: 1 }, sexual_minors: { block: 1 } },
      timeout_seconds: 60,
      withheld: 'drop',
    });
  });

  it.each(
    readdirSync(new URL('../../../../examples/policies/', import.meta.url)).filter((name) => name.endsWith('.yaml')),
  )('of the examples is one: %s', (name) => {
    const text = readFileSync(new URL(`../../../../examples/policies/${name}`, import.meta.url), 'utf8');
    expect(parsePolicy(text, name).name).toBe(name.replace('.yaml', ''));
  });

  it.each([
    ['', [/^p\.yaml:1:1: /]],
    ['version: 2\nname: x', [/^p\.yaml:1:10: .*version/]],
    ['version: 1\nname: x\nfilter: {}', [/^p\.yaml:3:1: 'filter' is not known here\. Did you mean 'filters'\?/]],
    ['version: 1\nname: x\nfilters:\n  lexikon: {}', [/^p\.yaml:4:3: 'lexikon' .*'lexicon'/]],
    [
      'version: 1\nname: x\nfilters: {lexicon: {lists: [profanity_xx]}}\ntimeout_seconds: soon',
      [/^p\.yaml:3:\d+: 'filters\.lexicon\.lists\.0'/, /^p\.yaml:4:18: 'timeout_seconds'/],
    ],
    [
      'version: 1\nname: x\ncategories:\n  hate: block',
      [/^p\.yaml:4:3: Nothing in this policy looks for 'hate'\. Add .*guard/],
    ],
    [
      'version: 1\nname: x\ncategories:\n  hatte: block',
      [/^p\.yaml:4:3: 'hatte' is not a category\. Did you mean 'hate'\?/],
    ],
    ['version: 1\nname: x\ncategories:\n  sexual_minors: annotate', [/^p\.yaml:4:18: .*always blocked/]],
    ['version: 1\nname: x\nname: y', [/^p\.yaml:3:1: 'name' is here twice/]],
    [
      'version: 1\nname: x\nfilters:\n  rules:\n    - {name: r, pattern: "(", category: c, severity: 4}',
      [/^p\.yaml:5:\d+: The rule 'r' has a pattern/],
    ],
    ['version: 1\nname: &a x\nfilters: *a', [/aliases/i]],
    ['version: 1\nname: [', [/^p\.yaml:\d+:\d+: This is not YAML/]],
    [`version: 1\nname: x\nfilters: ${'['.repeat(5_000)}`, [/nested/]],
    [`# ${'x'.repeat(1_100_000)}`, [/larger than/]],
  ])('that is wrong is told where and what: %j', (text, wanted) => {
    const found = problems(text);
    expect(found).toHaveLength(wanted.length);
    for (const [i, pattern] of wanted.entries()) expect(found[i]).toMatch(pattern);
  });

  it('never does more than refuse, whatever the text', () => {
    const line = fc.oneof(
      fc.string(),
      fc.constantFrom(
        'version: 1',
        'name: x',
        'filters:',
        '  secrets: {}',
        '- a',
        '{',
        '&a',
        '*a',
        '? b',
        '  guard: [',
        '\t',
        '%YAML',
        '---',
      ),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
        problems(lines.join('\n'));
      }),
    );
  });
});

const severity = fc.option(fc.integer({ min: 0, max: 6 }), { nil: undefined });
const anyPolicy = fc
  .record({
    name: fc.constantFrom('a', 'b', 'c'),
    kinds: fc.subarray(['email', 'phone', 'card'] as const),
    words: fc.subarray(['one', 'two', 'three']),
    allow: fc.subarray(['one', 'two', 'three']),
    rules: fc.subarray(['x1', 'y2']),
    timeout: fc.integer({ min: 1, max: 100 }),
    withheld: fc.constantFrom('drop' as const, 'quarantine' as const),
    categories: fc.dictionary(
      fc.constantFrom('hate', 'sexual', 'personal_data', 'words'),
      fc.record({ annotate: severity, redact: severity, block: severity }),
      { maxKeys: 3 },
    ),
  })
  .map(({ name, kinds, words, allow, rules, timeout, withheld, categories }) =>
    Policy.parse({
      version: 1,
      name,
      filters: {
        ...(kinds.length > 0 ? { personal_data: { kinds } } : {}),
        lexicon: { words: { words }, allow },
        rules: rules.map((pattern) => ({ name: pattern, pattern, category: 'words', severity: 3 })),
      },
      categories: Object.fromEntries(
        Object.entries(categories)
          .map(
            ([key, all]) => [key, Object.fromEntries(Object.entries(all).filter(([, n]) => n !== undefined))] as const,
          )
          .filter(([, all]) => Object.keys(all).length > 0),
      ),
      timeout_seconds: timeout,
      withheld,
    }),
  );

describe('the strictest of two policies', () => {
  const strength = (p: Policy, category: string, at: number) => {
    const action = actionFor(p, category, at);
    return action === null ? -1 : ACTIONS.indexOf(action);
  };
  it('does about everything what the stricter of the two does', () => {
    fc.assert(
      fc.property(
        anyPolicy,
        anyPolicy,
        fc.constantFrom(...KNOWN_CATEGORIES, 'words'),
        fc.integer({ min: 0, max: 6 }),
        (a, b, category, at) => {
          const both = strictest(a, b);
          expect(strength(both, category, at)).toBe(Math.max(strength(a, category, at), strength(b, category, at)));
          for (const name of Object.keys({ ...a.filters, ...b.filters })) expect(both.filters).toHaveProperty(name);
        },
      ),
    );
  });
  it('is the same in any order and grouping, and of one twice that one', () => {
    fc.assert(
      fc.property(anyPolicy, anyPolicy, anyPolicy, (a, b, c) => {
        expect(policyHash(strictest(a, b))).toBe(policyHash(strictest(b, a)));
        expect(policyHash(strictest(strictest(a, b), c))).toBe(policyHash(strictest(a, strictest(b, c))));
        expect(policyHash(strictest(a, a))).toBe(policyHash(a));
      }),
    );
  });
  it('survives storing as JSON', () => {
    fc.assert(
      fc.property(anyPolicy, anyPolicy, (a, b) => {
        const both = strictest(a, b);
        expect(policyHash(Policy.parse(JSON.parse(JSON.stringify(both))))).toBe(policyHash(both));
      }),
    );
    expect(policyHash(strictest(DEFAULT_POLICY, DEFAULT_POLICY))).toBe(policyHash(DEFAULT_POLICY));
  });
});
