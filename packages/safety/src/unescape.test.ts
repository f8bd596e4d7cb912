import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createJudge } from './judge.ts';
import { localFilters, Policy } from './policy/index.ts';
import { unescapedViews } from './unescape.ts';

const last = (text: string) => unescapedViews(text).at(-1)?.text;

test('JSON is read as whoever parses it reads it; other texts only have their characters by number', () => {
  expect(last('{"a":"\\u0078\\n\\"y\\\\"}')).toBe('{"a":"x\n"y\\"}');
  expect(last('say \\u0078\\n')).toBe('say x\\n');
  expect(unescapedViews('no \\escape')).toEqual([]);
  expect(last(JSON.stringify({ a: JSON.stringify({ b: '\u0001x' }) }))).toBe('{"a":"{"b":"\u0001x"}"}');
});

test('every place leads back to where it stands', () => {
  const value = fc.oneof(fc.string({ unit: 'binary' }), fc.array(fc.string(), { maxLength: 3 }));
  const word = fc.stringMatching(/^[A-Z]{3,8}$/);
  fc.assert(
    fc.property(value, word, value, fc.boolean(), (before, hidden, after, everything) => {
      const escaped = [...hidden].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
      const json = JSON.stringify([before, `#${hidden}#`, after]).replace(`#${hidden}#`, `#${escaped}#`);
      const text = everything ? json : `${JSON.stringify(before)} #${escaped}#`;
      const view = unescapedViews(text).find((one) => one.text.includes(`#${hidden}#`));
      const start = (view?.text.indexOf(`#${hidden}#`) ?? 0) + 1;
      const span = view?.original({ start, end: start + hidden.length });
      expect(text.slice(span?.start, span?.end)).toBe(escaped);
    }),
  );
});

const policy = Policy.parse({
  version: 1,
  name: 'escapes',
  filters: {
    personal_data: {},
    secrets: {},
    lexicon: { words: { rivals: ['Globex', 'Čapek'] } },
    rules: [
      { name: 'number', pattern: 'KD-\\d{8}', category: 'internal', severity: 4 },
      { name: 'form', schema: { type: 'object' }, category: 'shape', severity: 2 },
    ],
  },
  categories: { rivals: 'redact', internal: 'redact', secrets: 'redact', personal_data: 'redact', shape: 'annotate' },
});
const judge = createJudge(policy, await localFilters(policy));
const judged = async (text: string) => {
  const [one] = await judge.judge([{ id: 'choices.0.content', text }], {
    tenant: '',
    batchId: '',
    customId: '',
    asked: [],
    selfVerdicts: [],
    signal: new AbortController().signal,
  });
  return one;
};

const KEY = `-----BEGIN RSA PRIVATE KEY-----\n${'MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy0AHB7MhgwZ9b4xQm1jPqV\n'.repeat(12)}-----END RSA PRIVATE KEY-----`;

test.each([
  ['{"a":"by Gl\\u006fbex"}', '{"a":"by [rivals]"}'],
  ['{"a":"\\nGlobex\\n"}', '{"a":"\\n[rivals]\\n"}'],
  ['{"a":"\\u010capek"}', '{"a":"[rivals]"}'],
  ['print("Gl\\u006fbex")', 'print("[rivals]")'],
  ['{"a":"KD-1234\\u0035678"}', '{"a":"[number]"}'],
  [JSON.stringify({ a: '{"b":"KD-1234\\u0035678"}' }), JSON.stringify({ a: '{"b":"[number]"}' })],
  ['{"to":"joe\\u0040example.com"}', '{"to":"[email]"}'],
  [JSON.stringify({ key: KEY }), '{"key":"[private_key]"}'],
])('nothing hides behind escapes: %s', async (text, left) => {
  const { text: masked, results, findings } = (await judged(text)) ?? {};
  expect(masked).toBe(left);
  expect(results).toMatchObject({ shape: { detected: !left.startsWith('{') } });
  // Once, whether it is found in the text, behind its escapes, or both.
  expect(findings?.filter(({ action }) => action === 'redact')).toHaveLength(1);
});
