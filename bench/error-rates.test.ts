import fc from 'fast-check';
import { expect, test } from 'vitest';
import { characterErrorRate, editDistance, wordErrorRate } from './error-rates.ts';

test('known distances', () => {
  expect(editDistance([...'kitten'], [...'sitting'])).toBe(3);
  expect(editDistance([], [...'abc'])).toBe(3);
  expect(characterErrorRate([{ expected: 'abcd\nefgh', got: 'abcd efxh ' }])).toBeCloseTo(1 / 9);
  expect(wordErrorRate([{ expected: 'The cat sat.', got: 'the hat' }])).toBeCloseTo(2 / 3);
  expect(wordErrorRate([{ expected: '', got: '' }])).toBe(0);
});

test('a distance: none to itself, the same both ways, never more than the longer', () => {
  const letters = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 12 });
  fc.assert(
    fc.property(letters, letters, letters, (a, b, c) => {
      const d = editDistance(a, b);
      expect(editDistance(a, a)).toBe(0);
      expect(editDistance(b, a)).toBe(d);
      expect(d).toBeGreaterThanOrEqual(Math.abs(a.length - b.length));
      expect(d).toBeLessThanOrEqual(Math.max(a.length, b.length));
      expect(d).toBeLessThanOrEqual(editDistance(a, c) + editDistance(c, b));
    }),
  );
});
