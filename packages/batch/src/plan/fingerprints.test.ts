import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Fingerprints } from './fingerprints.ts';

test('says of every string whether it was there, like a Set', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 3 })), (texts) => {
      const prints = new Fingerprints();
      const set = new Set<string>();
      for (const text of texts) {
        expect(prints.add(text)).toBe(!set.has(text));
        set.add(text);
      }
      expect(prints.size).toBe(set.size);
    }),
  );
});

test('grows past its first table without forgetting or inventing', () => {
  const prints = new Fingerprints();
  for (let i = 0; i < 20_000; i++) expect(prints.add(`item-${i}`)).toBe(true);
  for (let i = 0; i < 20_000; i++) expect(prints.add(`item-${i}`)).toBe(false);
  expect(prints.size).toBe(20_000);
});
