import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkRule, type Rule, rules } from './index.ts';
import { literalOf } from './literal.ts';

const context = {
  tenant: 't',
  batchId: 'b',
  customId: 'c',
  asked: [],
  selfVerdicts: [],
  signal: new AbortController().signal,
};
const base = { name: 'one', category: 'internal', severity: 4 };
const find = async (rule: Omit<Rule, keyof typeof base> & Partial<Rule>, text: string) =>
  (await rules([{ ...base, ...rule } as Rule]).inspect([{ id: 'a', text }], context))[0];

describe('patterns', () => {
  it('are found where they stand, in any script', async () => {
    const text = 'Étui 😀 ACME-123456 und acme-654321.';
    const [found] = (await find({ pattern: 'ACME-\\d{6}' }, text)) ?? [];
    expect(found).toMatchObject({ label: 'one', category: 'internal', severity: 4 });
    expect(found?.spans.map((s) => text.slice(s.start, s.end))).toEqual(['ACME-123456']);
    const [both] = (await find({ pattern: 'acme-\\d{6}', flags: 'i' }, text)) ?? [];
    expect(both?.spans.map((s) => text.slice(s.start, s.end))).toEqual(['ACME-123456', 'acme-654321']);
  });

  it.each([
    [{ pattern: '(' }, /RE2 does not take/],
    [{ pattern: '(?=a)b' }, /RE2 does not take/],
    [{ pattern: '(a)\\1' }, /RE2 does not take/],
    [{ pattern: 'a*' }, /fits an empty text/],
    [{ schema: { type: 'nonsense' } }, /schema that is none/],
    [{ pattern: 'fine' }, null],
  ])('that cannot be are told: %j', (rule, message) => {
    const said = checkRule({ ...base, ...rule } as Rule);
    if (message === null) expect(said).toBeNull();
    else expect(said).toMatch(message);
  });

  // Each takes JavaScript's own engine minutes to years on these texts.
  it.each([
    ['(a+)+$', 'a'.repeat(50_000)],
    ['([a-zA-Z]+)*$', 'a'.repeat(50_000)],
    ['(a|aa)+$', 'a'.repeat(50_000)],
    ['(a|a?)+$', 'a'.repeat(50_000)],
    ['(.*a){12}', 'a'.repeat(5_000)],
    ['^(([a-z])+.)+[A-Z]([a-z])+$', 'a'.repeat(50_000)],
    ['(x+x+)+y', 'x'.repeat(50_000)],
    ['\\s+$', `${' '.repeat(50_000)}x`],
  ])('cannot be made to hang: %s', async (pattern, text) => {
    await find({ pattern }, `${text}!`);
  });

  it('are found with and without the quick look for what they must hold', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('AB-\\d+', 'x{2}yz?', '[a]bc+d', '(ab)?cd', 'a+bcd', 'ab*cd', 'ab\\.cd'),
        fc.string({ unit: fc.constantFrom(...'ABabcdxyz.-12') }),
        async (pattern, text) => {
          const spans = ((await find({ pattern }, text)) ?? []).flatMap((f) => f.spans);
          expect(spans).toEqual(
            [...text.matchAll(new RegExp(pattern, 'g'))].map((m) => ({ start: m.index, end: m.index + m[0].length })),
          );
        },
      ),
    );
    expect(literalOf('ACME-\\d{6}')).toBe('ACME-');
    expect(literalOf('a|b')).toBeNull();
  });
});

describe('schemas', () => {
  const schema = {
    type: 'object',
    required: ['total'],
    properties: { total: { type: 'number' }, id: { type: 'string', pattern: '^(a+)+$' } },
  };
  it('are fitted by JSON that does, and by nothing else', async () => {
    expect(await find({ schema }, '{"total": 3}')).toEqual([]);
    expect(await find({ schema }, '{"total": "3"}')).toMatchObject([{ label: 'one', spans: [] }]);
    expect(await find({ schema }, 'total: 3')).toHaveLength(1);
  });
  it('have patterns that cannot hang either', async () => {
    expect(await find({ schema }, JSON.stringify({ total: 1, id: `${'a'.repeat(50_000)}!` }))).toHaveLength(1);
  });
});
