import fc from 'fast-check';
import { expect, test } from 'vitest';
import { attachment } from './disposition.ts';
import { parseRange } from './range.ts';

test('a range is always inside the content, whatever the header', () => {
  const header = fc.oneof(
    fc.string(),
    fc.tuple(fc.string(), fc.string()).map(([a, b]) => `bytes=${a}-${b}`),
    fc.tuple(fc.option(fc.nat()), fc.option(fc.nat())).map(([a, b]) => `bytes=${a ?? ''}-${b ?? ''}`),
  );
  fc.assert(
    fc.property(header, fc.nat(), (text, size) => {
      const range = parseRange(text, size);
      if (range === null || range === 'unsatisfiable') return;
      expect(range.start).toBeGreaterThanOrEqual(0);
      expect(range.end).toBeGreaterThanOrEqual(range.start);
      expect(range.end).toBeLessThan(size);
    }),
  );
});

test('asking for what is there gives exactly that', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.integer({ min: 1 }), (a, b, more) => {
      const [start, end] = a < b ? [a, b] : [b, a];
      const size = end + more;
      expect(parseRange(`bytes=${start}-${end}`, size)).toEqual({ start, end });
      expect(parseRange(`bytes=${start}-`, size)).toEqual({ start, end: size - 1 });
      expect(parseRange(`bytes=-${end - start + 1}`, size)).toEqual({ start: size - (end - start + 1), end: size - 1 });
    }),
  );
});

test('a file name of any kind makes one header line that can be read back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), (name) => {
      const header = attachment(name);
      expect(header).toMatch(/^attachment; filename="[\x20-\x7e]*"; filename\*=UTF-8''[\w.~!%-]*$/);
      expect(header.match(/"/g)).toHaveLength(2);
      expect(decodeURIComponent(header.split("UTF-8''")[1] ?? '')).toBe(name.toWellFormed());
    }),
  );
});
