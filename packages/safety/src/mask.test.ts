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
    ).toBe('a[x][y]b');
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
          const covered = new Set(spans.flatMap((s) => Array.from({ length: s.end - s.start }, (_, i) => s.start + i)));
          const kept = [...given].filter((_, i, all) => {
            const from = all.slice(0, i).join('').length;
            return ![...(all[i] ?? '')].some(
              (c) =>
                Array.from(c, (_, k) => covered.has(from + k)).some(Boolean) ||
                (c.length === 2 && covered.has(from + 1)),
            );
          });
          expect(masked.replaceAll('[x]', '')).toBe(kept.join('').replaceAll('[x]', ''));
        }
      }),
    );
  });
});
