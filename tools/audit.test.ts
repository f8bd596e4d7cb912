import { expect, test } from 'vitest';
import { verdict } from './audit.ts';

const report = (severity: string) =>
  JSON.stringify({
    vulnerabilities: { 'bad-package': { severity, range: '<1.2.3' } },
    metadata: { vulnerabilities: { low: 0, [severity]: 1, total: 1 } },
  });

test.each([
  ['high', false],
  ['critical', false],
  ['moderate', true],
  ['low', true],
])('a %s weakness is told; passes: %s', (severity, ok) => {
  expect(verdict(report(severity))).toMatchObject({ ok, words: expect.stringContaining(`1 ${severity}`) });
  expect(verdict(report(severity)).words.includes('bad-package')).toBe(!ok);
});

test('none is none', () => {
  expect(
    verdict(JSON.stringify({ vulnerabilities: {}, metadata: { vulnerabilities: { high: 0, total: 0 } } })),
  ).toEqual({
    ok: true,
    words: 'no known weaknesses',
  });
});

test.each([
  '',
  'npm error',
  '{"message":"405 Method Not Allowed","error":{"summary":"","detail":""}}',
  '{"error":{"code":"ENOAUDIT","summary":"audit endpoint returned an error"}}',
])('a registry that does not say is no verdict, and that is said: %s', (output) => {
  expect(verdict(output)).toMatchObject({ ok: true, words: expect.stringMatching(/^NOT CHECKED/) });
});
