import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { redacted } from './test-filter.ts';

describe('JSON', () => {
  it.each([
    ['{"card": 4111111111111111}', '{"card": "[card]"}'],
    ['{"card": 4.111111111111111e15 }', '{"card": "[card]" }'],
    ['[4111111111111111,1, 2]', '["[card]",1, 2]'],
    ['{"to":"joe@example.com","n":1.50}', '{"to":"[email]","n":1.50}'],
    ['{"to":"joe\\u0040example.com"}', '{"to":"[email]"}'],
    ['{"text":"a\\n\\"joe@example.com\\"\\t\\u00e4"}', '{"text":"a\\n\\"[email]\\"\\t\\u00e4"}'],
    [
      '{"joe@example.com": {"phone": 2125551234, "id": 2125551234}}',
      '{"[email]": {"phone": "[phone]", "id": 2125551234}}',
    ],
    ['"joe@example.com"', '"[email]"'],
    [' {"a" : [ "x" , "(212) 555-1234" ] } ', ' {"a" : [ "x" , "[phone]" ] } '],
  ])('%s becomes %s', async (text, wanted) => {
    expect(await redacted(text)).toBe(wanted);
    expect(() => JSON.parse(wanted)).not.toThrow();
  });

  it.each([
    '{"id": 2125551234, "fraction": 0.4111111111111111, "amount": 1234567.89, "date": "2024-01-15"}',
    '{"a": "\\u00e4\\n", "b": [1, 2.0, 3e5, -4], "c": null, "d": true }',
    '{"sum": -4111111111111112}',
  ])('%s stays byte for byte', async (text) => {
    expect(await redacted(text)).toBeNull();
  });

  it('that is cut off is read as text, escapes and all', async () => {
    expect(await redacted('{"to": "joe\\u0040example.com", "card": 4111111111111111, "b')).toBe(
      '{"to": "[email]", "card": [card], "b',
    );
  });

  it('stays valid, keeps its shape, and holds nothing more to find', async () => {
    const secret = fc.constantFrom<string | number>(
      'joe@example.com',
      'call +1 212 555 1234!',
      '4111-1111-1111-1111',
      4111111111111111,
      5500000000000004,
      'DE89370400440532013000',
    );
    const document = fc.tuple(
      fc.jsonValue({ maxDepth: 3 }),
      fc.letrec<{ tree: unknown }>((tie) => ({
        tree: fc.oneof(
          { maxDepth: 3 },
          secret,
          fc.string({ unit: 'binary', maxLength: 10 }),
          fc.double({ noNaN: true, noDefaultInfinity: true }),
          fc.array(tie('tree'), { maxLength: 4 }),
          fc.dictionary(fc.string({ maxLength: 6 }), tie('tree'), { maxKeys: 4 }),
        ),
      })).tree,
    );
    await fc.assert(
      fc.asyncProperty(document, fc.constantFrom(undefined, 2), async (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        const result = await redacted(text);
        if (result === null) return;
        const after: unknown = JSON.parse(result);
        expect(shape(after)).toEqual(shape(JSON.parse(text)));
        expect(await redacted(result)).toBeNull();
        for (const gone of ['joe@', '4111111111111111', '5500000000000004', '3704004405'])
          expect(result).not.toContain(gone);
      }),
      { numRuns: 400 },
    );
  });
});

/** Lists and their lengths, and what is a scalar. Keys may be redacted too. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shape);
  return typeof value === 'object' && value !== null ? 'object' : 'scalar';
}
