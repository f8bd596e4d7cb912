import { isAbsolute, join, normalize } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { outputNames, safePath } from './names.ts';

const names = (paths: string[], kept?: Map<string, string>) => [...outputNames(paths, ['.md'], kept).values()];

describe('outputNames', () => {
  test('the extension goes, and stays where two sources would meet', () => {
    expect(names(['2024/scan.pdf', 'note', 'scan.pdf', 'scan.png', 'v1.2.pdf'])).toEqual([
      '2024/scan',
      'note',
      'scan',
      'scan.png',
      'v1.2',
    ]);
    expect(names(['Scan.pdf', 'scan.pdf', 'SCAN.PDF'])).toEqual(['Scan', 'scan.pdf', 'SCAN.PDF~2']);
  });

  test('an output does not take the name of a folder', () => {
    expect(names(['a.md/page.png', 'a.pdf'])).toEqual(['a.md/page', 'a.pdf']);
  });

  test('what has a name keeps it when others come', () => {
    const first = outputNames(['scan.png'], ['.md']);
    expect(outputNames(['scan.jpg', 'scan.png'], ['.md'], first)).toEqual(
      new Map([
        ['scan.jpg', 'scan.jpg'],
        ['scan.png', 'scan'],
      ]),
    );
  });

  test('any keys: every output has a place of its own inside the folder, and no output is in the way of another', () => {
    const segment = fc.oneof(
      fc.constantFrom('a', 'A', 'a.md', 'a.pdf', 'a.png', '.', '..', '', '.batchmill', 'failures.jsonl'),
      fc.string({ unit: 'binary', maxLength: 300 }),
    );
    const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('/'));
    fc.assert(
      fc.property(fc.uniqueArray(path, { maxLength: 30 }), fc.nat(10), (paths, old) => {
        const kept = outputNames(paths.slice(0, old), ['.md']);
        const given = outputNames(paths, ['.md'], kept);
        const files = [...given.values()].map((name) => `${name}.md`.toLowerCase());
        expect(given.size).toBe(paths.length);
        expect(new Set(files).size).toBe(files.length);
        for (const name of files) {
          expect(isAbsolute(name)).toBe(false);
          expect(normalize(join('/out', name)).startsWith('/out/')).toBe(true);
          expect(name.startsWith('.batchmill')).toBe(false);
          for (const part of name.split('/')) expect(Buffer.byteLength(part)).toBeLessThanOrEqual(255);
        }
        for (const [path, name] of kept) expect(given.get(path)).toBe(name);
        // No output is another's folder. Names of earlier runs were given before the others were known.
        if (old === 0)
          for (const one of files) for (const other of files) expect(other.startsWith(`${one}/`)).toBe(false);
      }),
    );
  });
});

test('safePath: long names are cut and still differ', () => {
  const [one, other] = [safePath(`${'ä'.repeat(300)}1.pdf`), safePath(`${'ä'.repeat(300)}2.pdf`)];
  expect(one).toMatch(/^ä{40}-[0-9a-f]{12}\.pdf$/);
  expect(one).not.toBe(other);
  expect(safePath('../../etc/passwd')).toBe('_./_./etc/passwd');
  expect(safePath('///')).toBe('_');
  expect(safePath('a\u0000b\\c')).toBe('a_b_c');
});
