import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkDepth, MOST_DEPTH } from './depth.ts';

const nested = (depth: number, open = '[', close = ']') => JSON.parse(open.repeat(depth) + close.repeat(depth));

test('so deep and no deeper, in lists and in objects, wherever it is', () => {
  checkDepth(nested(MOST_DEPTH));
  const deep = [nested(MOST_DEPTH + 1), JSON.parse(`${'{"a":'.repeat(MOST_DEPTH + 1)}1${'}'.repeat(MOST_DEPTH + 1)}`)];
  for (const value of [...deep, { a: 1, b: [2, nested(MOST_DEPTH)] }])
    expect(() => checkDepth(value)).toThrow(expect.objectContaining({ status: 400, code: 'invalid_json' }));
});

test('so many levels, and so many members, do not exhaust the stack', () => {
  expect(() => checkDepth(nested(200_000))).toThrow('nested');
  checkDepth(Array.from({ length: 100_000 }, () => [{}]));
});

test('anything else is fine', () => {
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 50 }), (value) => checkDepth(value)));
});
