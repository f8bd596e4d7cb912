import fc from 'fast-check';
import { expect, test } from 'vitest';
import { windowsOf } from './windows.ts';

test('windows cover the text, overlap, and cut no character in half', () => {
  const text = fc
    .array(fc.oneof(fc.constantFrom('😀', 'word ', 'a', ' ', 'Straße\n'), fc.string({ unit: 'grapheme' })), {
      maxLength: 400,
    })
    .map((p) => p.join(''));
  fc.assert(
    fc.property(text, fc.integer({ min: 16, max: 200 }), (given, most) => {
      const overlap = Math.floor(most / 4);
      const windows = windowsOf(given, most, overlap);
      expect(windows[0]?.start).toBe(0);
      expect(windows.at(-1)?.end).toBe(given.length);
      for (const [i, { start, end }] of windows.entries()) {
        expect(end - start).toBeLessThanOrEqual(most + 1);
        if (given.isWellFormed()) expect(given.slice(start, end).isWellFormed()).toBe(true);
        const next = windows[i + 1];
        if (next !== undefined) {
          expect(next.start).toBeLessThanOrEqual(end);
          expect(next.start).toBeGreaterThan(start);
        }
      }
    }),
  );
});

test('what is shorter than the overlap is whole in one of them', () => {
  const text = `${'word '.repeat(1_000)}needle in the hay ${'word '.repeat(1_000)}`;
  for (let most = 80; most < 140; most++)
    expect(windowsOf(text, most, 40).some((w) => text.slice(w.start, w.end).includes('needle in the hay'))).toBe(true);
});
