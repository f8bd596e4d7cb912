import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { joinTiles } from './join-tiles.ts';

const apart = (...texts: string[]) => joinTiles(texts.map((text) => ({ text, overlaps: false })));
const over = (...texts: string[]) => joinTiles(texts.map((text, i) => ({ text, overlaps: i > 0 })));

/** Lines of random letters, so that no two are alike. */
const lines = fc
  .array(fc.record({ seed: fc.nat(), words: fc.integer({ min: 1, max: 8 }) }), { minLength: 6, maxLength: 40 })
  .map((all) =>
    all.map(({ seed, words }, i) => {
      let state = (seed + i * 7_919) % 2_147_483_647 || 1;
      const letter = () => {
        state = (state * 48_271) % 2_147_483_647;
        return String.fromCharCode(97 + (state % 26));
      };
      const start = ['', '| ', '# ', '- ', 'Total of '][i % 5];
      return start + Array.from({ length: words + 1 }, () => Array.from({ length: 7 }, letter).join('')).join(' ');
    }),
  );

/** One character in ten read wrong, the same each time. */
const misread = (line: string, seed: number) =>
  [...line].map((char, i) => (char !== ' ' && (i * 7 + seed) % 11 === 0 ? '*' : char)).join('');

describe('joinTiles', () => {
  it('has every line once and in order, where windows overlap and were read differently', () => {
    fc.assert(
      fc.property(
        lines,
        fc.array(
          fc.record({
            // Twice the overlap, so that of two readings of a line one is right.
            lines: fc.integer({ min: 6, max: 11 }),
            overlap: fc.integer({ min: 1, max: 3 }),
            seed: fc.nat(10),
            cutAbove: fc.boolean(),
            cutBelow: fc.boolean(),
          }),
          { minLength: 1, maxLength: 12 },
        ),
        (all, windows) => {
          const tiles: { text: string; overlaps: boolean }[] = [];
          let top = 0;
          for (let i = 0; top < all.length; i++) {
            const window = windows[i % windows.length];
            if (window === undefined) return;
            const bottom = Math.min(all.length, top + window.lines);
            const text = all.slice(top, bottom).map((line, j) => (j < 3 && i > 0 ? misread(line, window.seed) : line));
            // Halves of lines above and below the window, as the edge of a tile leaves them.
            if (window.cutBelow && i > 0 && top > 0) text.unshift('~ ,. _ -.');
            if (window.cutAbove && bottom < all.length) text.push("'' ^ `´ '");
            tiles.push({ text: text.join('\n'), overlaps: i > 0 });
            if (bottom === all.length) break;
            top = bottom - window.overlap;
          }
          const joined = joinTiles(tiles)
            .split('\n')
            .filter((line) => line !== '');
          expect(joined).toHaveLength(all.length);
          joined.forEach((line, i) => {
            // The seed is that of one of the windows.
            const readings = [all[i], ...windows.map(({ seed }) => misread(all[i] ?? '', seed))];
            expect(readings).toContain(line);
          });
        },
      ),
      { numRuns: 300 },
    );
  });

  it('keeps everything where tiles do not overlap', () => {
    expect(apart('Total: 5', 'Total: 5', 'Total: 5')).toBe('Total: 5\nTotal: 5\nTotal: 5');
    fc.assert(
      fc.property(fc.array(fc.array(fc.constantFrom('a', 'bb b', 'a a a a a a'), { minLength: 1 })), (tiles) => {
        expect(apart(...tiles.map((tile) => tile.join('\n')))).toBe(tiles.flat().join('\n'));
      }),
    );
  });

  it('keeps everything where nothing matches', () => {
    expect(over('one two three\nfour five six', 'seven eight nine\nten eleven')).toBe(
      'one two three\nfour five six\nseven eight nine\nten eleven',
    );
    expect(over('x', '', ' \n', 'y')).toBe('x\ny');
    expect(joinTiles([])).toBe('');
  });

  it('keeps lines that are equal in print but for those in the overlap', () => {
    expect(over('Yes\nNo\nYes\nYes\nMaybe', 'Yes\nMaybe\nYes\nNo')).toBe('Yes\nNo\nYes\nYes\nMaybe\nYes\nNo');
  });

  it('is not misled by a list whose lines are all alike', () => {
    const items = Array.from({ length: 30 }, (_, i) => `| Item ${1_000 + i} | 5.00 |`);
    for (const overlap of [1, 2, 3])
      for (const cut of ['', '\n| ltern 10_. | o.0'])
        expect(over(items.slice(0, 12).join('\n') + cut, items.slice(12 - overlap).join('\n'))).toBe(items.join('\n'));
  });

  it('keeps paragraphs apart as they were', () => {
    expect(over('# Title\n\nFirst line.\n\nSecond line.', 'First line.\n\nSecond line.\n\nThird line.')).toBe(
      '# Title\n\nFirst line.\n\nSecond line.\n\nThird line.',
    );
  });

  it('joins a paragraph that each tile has as one line', () => {
    expect(
      over(
        'It was the best of times, it was the worst of times, it was the age of wisdom, it wes tne',
        'wos of tines, it was the age of wisdom, it was the age of foolishness.\n\nThe end.',
      ),
    ).toBe(
      'It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness.\n\nThe end.',
    );
  });

  it('makes one table of a table that was cut', () => {
    const head = '| Item | Price |\n| --- | --- |\n| Tea | 2 |';
    expect(apart(head, '| Milk | 1 |\n| --- | --- |\n| Rum | 9 |')).toBe(`${head}\n| Milk | 1 |\n| Rum | 9 |`);
    expect(apart(head, '| Milk | 1 |\n| Rum | 9 |')).toBe(`${head}\n| Milk | 1 |\n| Rum | 9 |`);
    // Another table begins.
    expect(apart(head, '| a | b | c |\n| --- | --- | --- |\n| 1 | 2 | 3 |')).toContain('| --- | --- | --- |');
  });

  it('keeps blocks of Markdown from running into each other', () => {
    expect(apart('text', '# Title\ntext', '---', 'more')).toBe('text\n\n# Title\ntext\n\n---\n\nmore');
    expect(apart('| a |\n| --- |\n| 1 |', 'text')).toBe('| a |\n| --- |\n| 1 |\n\ntext');
  });

  it('is quick on long lines', () => {
    const long = (char: string, n: number) => Array.from({ length: 12 }, (_, i) => char.repeat(n) + i).join('\n');
    const start = performance.now();
    over(long('a', 398), long('ab', 199), long('abb', 130), long('ab', 199), long('a', 4_000), long('ab', 2_000));
    over('word '.repeat(20_000), 'Word '.repeat(20_000));
    expect(performance.now() - start).toBeLessThan(3_000);
  });
});
