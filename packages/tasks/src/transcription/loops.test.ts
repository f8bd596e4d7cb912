import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collapseLoops, compressionRatio, MAX_COMPRESSION_RATIO } from './loops.ts';

const times = (n: number, text: string) => text.repeat(n).trimEnd();

describe('loops', () => {
  it('are cut to once', () => {
    expect(collapseLoops(times(20, 'thank you '))).toBe('thank you');
    expect(collapseLoops(`So he said ${times(30, 'and then ')}`)).toBe('So he said and then');
    expect(collapseLoops(times(40, 'ha '))).toBe('ha');
    expect(collapseLoops(times(30, '谢谢观看。'))).toBe('谢谢观看。');
    expect(collapseLoops(times(30, '👍🏽 '))).toBe('👍🏽');
    expect(collapseLoops(times(6, 'I do not know what to say about this. '))).toBe(
      'I do not know what to say about this.',
    );
  });

  it('that are cut off, or begin like the word before them, end at a word', () => {
    expect(collapseLoops(`${times(12, 'the cat ')} the c`)).toBe('the cat');
    expect(collapseLoops(`the mat ${times(12, 'the cat ')}`)).toBe('the mat the cat');
  });

  it('in the middle leave what follows them', () => {
    expect(collapseLoops(`First ${times(12, 'the cat, ')} then the dog.`)).toBe('First the cat, then the dog.');
  });

  it('are not what people say twice', () => {
    for (const text of [
      'No, no, no, no, no!',
      'Row, row, row your boat, row, row, row your boat, row, row, row your boat.',
      'one two three four one two three four one two three four',
      'a million is 1000000, a billion 1000000000',
      '',
    ])
      expect(collapseLoops(text)).toBe(text);
  });

  it('of any words are found, and what is around them stays', () => {
    const word = fc.stringMatching(/^[a-z]{2,8}$/);
    fc.assert(
      fc.property(
        fc.uniqueArray(word, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 13, max: 40 }),
        (unit, repetitions) => {
          const once = unit.join(' ');
          const text = `BEFORE ${times(repetitions, `${once} `)} AFTER`;
          const left = collapseLoops(text);
          expect(left).toBe(collapseLoops(left));
          expect(left.startsWith('BEFORE ')).toBe(true);
          expect(left.endsWith(' AFTER')).toBe(true);
          // A unit may itself hold a loop ("aaaaa"), so it may come out shorter.
          expect(left.length).toBeLessThanOrEqual('BEFORE  AFTER'.length + 2 * once.length);
        },
      ),
    );
  });

  it('take no time to look for', () => {
    const text = Array.from({ length: 3_000 }, (_, i) => String.fromCharCode(97 + ((i * i) % 26))).join('');
    const start = performance.now();
    collapseLoops(text);
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});

describe('the compression ratio', () => {
  it('is Whisper’s', () => {
    // Python: len(b) / len(zlib.compress(b)) is 44 / 51; Node's zlib needs a byte more.
    expect(compressionRatio('The quick brown fox jumps over the lazy dog.')).toBeCloseTo(44 / 51, 1);
    expect(compressionRatio('')).toBe(0);
  });

  it('tells speech from loops', () => {
    const speech =
      'We should meet on Tuesday to talk about the budget. I have looked at the numbers of the last quarter and they are ' +
      'better than we feared, but the travel costs must come down, and nobody has told the people in Hamburg yet.';
    expect(compressionRatio(speech)).toBeLessThan(MAX_COMPRESSION_RATIO);
    expect(compressionRatio(times(20, 'we meet on Tuesday '))).toBeGreaterThan(MAX_COMPRESSION_RATIO);
  });
});
