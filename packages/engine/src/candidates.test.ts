import fc from 'fast-check';
import { expect, test } from 'vitest';
import { candidateProbabilities } from './candidates.ts';

/** A model that always gives the same three tokens. */
const coin = async () =>
  new Map([
    [1, 0.5],
    [2, 0.3],
    [3, 0.2],
  ]);

test('the first token is enough where it tells candidates apart, and is looked at once', async () => {
  const asked: (readonly number[])[] = [];
  const next = (beginning: readonly number[]) => {
    asked.push(beginning);
    return coin();
  };
  const candidates = new Map([
    ['a', [1, 9, 9]],
    ['b', [2]],
    ['c', [7]],
  ]);
  expect(await candidateProbabilities(candidates, next)).toEqual({ a: 0.5, b: 0.3, c: 0 });
  expect(asked).toEqual([[]]);
});

test('candidates that begin alike are told apart by where they part', async () => {
  const candidates = new Map([
    ['PII', [1, 2]],
    ['Politics', [1, 3, 1]],
    ['None', [3]],
  ]);
  expect(await candidateProbabilities(candidates, coin)).toEqual({
    PII: expect.closeTo(0.15),
    Politics: expect.closeTo(0.1),
    None: 0.2,
  });
});

test('of a candidate that another begins with, the other is taken off', async () => {
  const candidates = new Map([
    ['1', [1]],
    ['10', [1, 2]],
    ['12', [1, 3]],
  ]);
  expect(await candidateProbabilities(candidates, coin)).toEqual({
    '1': expect.closeTo(0.25),
    '10': expect.closeTo(0.15),
    '12': expect.closeTo(0.1),
  });
});

test('the sum is never more than 1, whatever the candidates', async () => {
  const tokens = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 5 });
  const candidates = fc
    .uniqueArray(tokens, { minLength: 1, maxLength: 30, selector: (some) => some.join() })
    .map((all) => new Map(all.map((some) => [some.join(), some] as const)));
  await fc.assert(
    fc.asyncProperty(candidates, async (given) => {
      const found = Object.values(await candidateProbabilities(given, coin));
      expect(found).toHaveLength(given.size);
      expect(found.every((p) => p >= 0 && p <= 1)).toBe(true);
      expect(found.reduce((sum, p) => sum + p, 0)).toBeLessThanOrEqual(1 + 1e-9);
    }),
  );
});

test('what cannot be told apart is refused', async () => {
  const same = new Map([
    ['a', [1]],
    ['A', [1]],
  ]);
  await expect(candidateProbabilities(same, coin)).rejects.toThrow('"A" and "a" are the same to the model');
  await expect(candidateProbabilities(new Map([['', []]]), coin)).rejects.toThrow('"" is empty');
});
