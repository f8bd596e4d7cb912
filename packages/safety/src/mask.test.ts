import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mask } from './mask.ts';

const at = (text: string, word: string, label: string) => {
  const start = text.indexOf(word);
  return { start, end: start + word.length, label };
};

describe('mask', () => {
  it('puts a placeholder where each span was', () => {
    const text = 'Write to ada@example.org or call 555.';
    expect(mask(text, [at(text, '555', 'phone'), at(text, 'ada@example.org', 'email')])).toBe(
      'Write to [email] or call [phone].',
    );
  });

  it('masks overlapping spans once, under the first label', () => {
    expect(mask('abcdef', [at('abcdef', 'bcd', 'x'), at('abcdef', 'cde', 'y')])).toBe('a[x]f');
  });

  it('cuts no character in half, in any script', () => {
    const text = 'a😀b';
    expect(mask(text, [{ start: 2, end: 3, label: 'x' }])).toBe('a[x]b');
    expect(mask(text, [{ start: 1, end: 2, label: 'x' }])).toBe('a[x]b');
    expect(
      mask(text, [
        { start: 1, end: 2, label: 'x' },
        { start: 2, end: 3, label: 'y' },
      ]),
    ).toBe('a[x]b');
    // A letter with a mark, one with many, a family, a flag, a syllable of Devanagari, a Hangul syllable in parts, Hebrew with a vowel.
    for (const letter of [
      'n\u0303',
      'a\u0301\u0323\u035c',
      '👩\u200d👩\u200d👦',
      '🇩🇪',
      '\u0915\u094d\u0937\u093f',
      '\u1112\u1161\u11ab',
      '\u05e9\u05c1',
    ])
      for (let at = 0; at < letter.length; at++) {
        const span = [{ start: 1 + at, end: 2 + at, label: 'x' }];
        expect(mask(`b${letter}b`, span)).toBe('b[x]b');
        const json = JSON.stringify([`b${letter}b`]);
        expect(JSON.parse(mask(json, [{ start: 3 + at, end: 4 + at, label: 'x' }]))).toEqual(['b[x]b']);
      }
    // A mark on a quote or on an escape is cut from it rather than the JSON.
    expect(JSON.parse(mask('["\u0301a"]', [{ start: 2, end: 3, label: 'x' }]))).toEqual(['[x]a']);
    expect(JSON.parse(mask('["\\n\u0301a"]', [{ start: 4, end: 5, label: 'x' }]))).toEqual(['[x]a']);
    expect(mask('["\\ud83d\\ude00"]', [{ start: 2, end: 8, label: 'x' }])).toBe('["[x]"]');
  });

  it('keeps JSON valid: numbers become strings, escapes go whole, what is between values stays', () => {
    const json = '{"card": 4111111111111111, "to": "ada\\u0040example.org", "ok": true}';
    const masked = mask(json, [
      at(json, '111111', 'card'),
      { start: json.indexOf('0040'), end: json.indexOf('.org') + 4, label: 'email' },
      at(json, '", "ok": tr', 'word'),
    ]);
    expect(JSON.parse(masked)).toEqual({ card: '[card]', to: 'ada[email]', '[word]': '[word]' });
  });

  it('leaves nothing of any span, valid JSON stays valid and text outside stays', () => {
    const json = fc.oneof(fc.object({ maxDepth: 2 }), fc.array(fc.jsonValue())).map((value) => JSON.stringify(value));
    const text = fc.oneof(json, fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }));
    fc.assert(
      fc.property(text, fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 4 }), (given, places) => {
        const spans = places.map(([a, b]) => {
          const start = Math.min(a, b) % (given.length + 1);
          return { start, end: Math.min(given.length, start + (Math.abs(a - b) % 20)), label: 'x' };
        });
        const masked = mask(given, spans);
        let whole = true;
        try {
          JSON.parse(given);
        } catch {
          whole = false;
        }
        if (whole && /^\s*[{["]/.test(given)) JSON.parse(masked);
        else if (given.isWellFormed()) {
          expect(masked.isWellFormed()).toBe(true);
          const kept = [...new Intl.Segmenter().segment(given)].filter(
            ({ index, segment }) =>
              !spans.some(({ start, end }) => start < end && start < index + segment.length && index < end),
          );
          expect(masked.replaceAll('[x]', '')).toBe(
            kept
              .map(({ segment }) => segment)
              .join('')
              .replaceAll('[x]', ''),
          );
        }
      }),
    );
  });
});
