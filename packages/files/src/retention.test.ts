import { expect, test } from 'vitest';
import { retentionOf, secondsOf } from './retention.ts';
import { BATCH_FILE_SECONDS, lifetime } from './stage.ts';

test('a tenant has what is set for it, and for the rest what is set for all', () => {
  const set = { '*': { batches: 90, results: 30 }, acme: { batches: 7 } };
  expect(retentionOf(set, 'acme')).toEqual({ batches: 7, results: 30, files: null });
  expect(retentionOf(set, 'other')).toEqual({ batches: 90, results: 30, files: null });
  expect(retentionOf({}, 'acme')).toEqual({ batches: null, results: null, files: null });
  // No name finds what is not in it.
  expect(retentionOf(set, 'constructor')).toEqual(retentionOf(set, 'other'));
});

test('days are seconds, and none is none', () => {
  expect([secondsOf(1), secondsOf(0.5), secondsOf(null)]).toEqual([86_400, 43_200, null]);
});

test.each<[Parameters<typeof lifetime>, number | null]>([
  [['batch', null, null], BATCH_FILE_SECONDS],
  [['batch', 100, null], 100],
  [['batch', null, 50], 50],
  [['batch', 100, 50], 50],
  [['batch', 20, 50], 20],
  [['user_data', null, null], null],
  [['user_data', null, 50], 50],
  [['batch_output', 100, 50], 50],
])('a lifetime is at most what is allowed: %j', (asked, seconds) => {
  expect(lifetime(...asked)).toBe(seconds);
});
