import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CUE_MS, cuesOf, LINE_COLUMNS, MAX_INDENT } from './cues.ts';
import { type Said, writeSrt, writeVtt } from './subtitles.ts';
import { joinTexts, joinWords, oneLine, sentencesOf, widthOf, wordsOf } from './words.ts';

interface Read {
  start: number;
  end: number;
  lines: string[];
  speaker: string | null;
}

const ms = (text: string, separator: string) => {
  const match = new RegExp(`^(\\d{2,}):([0-5]\\d):([0-5]\\d)${separator}(\\d{3})$`).exec(text);
  if (match === null) throw new Error(`no time: '${text}'`);
  const [, h, m, s, f] = match.map(Number);
  return Number(h) * 3_600_000 + Number(m) * 60_000 + Number(s) * 1_000 + Number(f);
};
const times = (line: string, separator: string) => {
  const [from = '', to = '', ...more] = line.split(' --> ');
  expect(more).toEqual([]);
  return { start: ms(from, separator), end: ms(to, separator) };
};

function readSrt(text: string): Read[] {
  if (text === '') return [];
  return text
    .replace(/\n$/, '')
    .split('\n\n')
    .map((block, i) => {
      const [number, when = '', ...lines] = block.split('\n');
      expect(number).toBe(String(i + 1));
      return { ...times(when, ','), lines, speaker: null };
    });
}

/** The cue text of WebVTT as its parser takes it apart: voice spans and character references. */
function readVtt(text: string): Read[] {
  const [head, ...blocks] = text.replace(/\n$/, '').split('\n\n');
  expect(head).toBe('WEBVTT');
  const plain = (escaped: string) => {
    expect(escaped).not.toMatch(/[<>]|&(?!(amp|lt|gt);)/);
    return escaped.replace(/&(amp|lt|gt);/g, (_, name) => ({ amp: '&', lt: '<', gt: '>' })[String(name)] ?? '');
  };
  return blocks.map((block) => {
    const [when = '', ...lines] = block.split('\n');
    const voice = /^<v ([^\n>]+)>/.exec(lines[0] ?? '');
    if (voice !== null) lines[0] = lines[0]?.slice(voice[0].length) ?? '';
    return {
      ...times(when, '\\.'),
      lines: lines.map(plain),
      speaker: voice === null ? null : plain(voice[1] ?? ''),
    };
  });
}

const letters = (texts: readonly string[]) => texts.join('').replaceAll(' ', '');

const text = fc
  .array(
    fc.oneof(
      fc.stringMatching(/^[a-z]{1,12}[.,?!]?$/),
      fc.constantFrom(
        '-->',
        '<b>',
        '&amp;',
        '1',
        '你好,世界。',
        'سلام',
        'x'.repeat(60),
        'สวัสดีครับ',
        '👩‍👩‍👧‍👦',
        '"Yes."',
      ),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }),
    ),
    { maxLength: 60 },
  )
  .map((words) => oneLine(words.join(' ')));
/** What one channel says: in order, without overlap, never more than can be said in the time. */
const saying = (speaker: string | null): fc.Arbitrary<Said[]> =>
  fc
    .array(fc.tuple(text, fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 500, max: 28_000 })), { maxLength: 8 })
    .map((parts) => {
      let at = 0;
      return parts.map(([said, pause, length]) => {
        const start = at + pause;
        at = start + length;
        return { start, end: at, text: said, speaker };
      });
    });

describe('subtitles', () => {
  const said: Said[] = [
    { start: 250, end: 4_000, text: 'Good morning, this is the weather.', speaker: null },
    { start: 3_661_005, end: 3_662_000, text: 'a < b && c --> d', speaker: null },
  ];

  it('are SubRip', () => {
    expect(writeSrt(said)).toBe(
      '1\n00:00:00,250 --> 00:00:04,000\nGood morning, this is the weather.\n\n' +
        '2\n01:01:01,005 --> 01:01:02,000\na < b && c -> d\n',
    );
    expect(writeSrt([])).toBe('');
  });

  it('are WebVTT', () => {
    expect(writeVtt(said)).toBe(
      'WEBVTT\n\n00:00:00.250 --> 00:00:04.000\nGood morning, this is the weather.\n\n' +
        '01:01:01.005 --> 01:01:02.000\na &lt; b &amp;&amp; c --&gt; d\n',
    );
    expect(writeVtt([])).toBe('WEBVTT\n');
  });

  it('name speakers, and let them talk at once', () => {
    const call: Said[] = [
      { start: 0, end: 2_000, text: 'Hello?', speaker: 'R&D <1>' },
      { start: 1_500, end: 3_000, text: 'Hi.', speaker: 'caller' },
    ];
    expect(writeSrt(call)).toBe(
      '1\n00:00:00,000 --> 00:00:02,000\nR&D <1>: Hello?\n\n2\n00:00:01,500 --> 00:00:03,000\ncaller: Hi.\n',
    );
    expect(writeVtt(call)).toContain('00:00:00.000 --> 00:00:02.000\n<v R&amp;D &lt;1&gt;>Hello?\n');
  });

  it('are broken where they read well', () => {
    const cues = cuesOf({
      start: 0,
      end: 20_000,
      text:
        'We looked at the numbers of the last quarter, and they are better than we feared. The travel costs, however, must ' +
        'come down, and nobody has told the people in Hamburg yet.',
    });
    expect(cues.map((cue) => cue.lines)).toEqual([
      ['We looked at the numbers', 'of the last quarter,'],
      ['and they are better than we feared.'],
      ['The travel costs, however, must come down,'],
      ['and nobody has told the', 'people in Hamburg yet.'],
    ]);
    // One word over 20 s does not stay on the screen.
    expect(cuesOf({ start: 0, end: 20_000, text: 'Yes.' })).toEqual([{ start: 0, end: CUE_MS, lines: ['Yes.'] }]);
    expect(cuesOf({ start: 0, end: 20_000, text: '' })).toEqual([]);
  });

  it('read back as they were written, in time and within their lines', () => {
    fc.assert(
      fc.property(saying(null), (parts) => {
        const srt = readSrt(writeSrt(parts));
        const vtt = readVtt(writeVtt(parts));
        expect(vtt.map(({ start, end }) => ({ start, end }))).toEqual(srt.map(({ start, end }) => ({ start, end })));
        const written = letters(parts.map((part) => part.text));
        expect(letters(vtt.flatMap((cue) => cue.lines))).toBe(written);
        expect(letters(srt.flatMap((cue) => cue.lines))).toBe(written.replaceAll('-->', '->'));
        let before = 0;
        for (const { start, end, lines } of vtt) {
          expect(start).toBeGreaterThanOrEqual(before);
          expect(end).toBeGreaterThan(start);
          expect(end - start).toBeLessThanOrEqual(CUE_MS);
          expect(lines.length).toBeLessThanOrEqual(2);
          for (const line of lines) {
            expect(line.trim()).not.toBe('');
            expect(widthOf(line)).toBeLessThanOrEqual(LINE_COLUMNS);
          }
          before = end;
        }
      }),
    );
  });

  it('of two speakers are in order, each with his name', () => {
    const name = fc.stringMatching(/^[a-zA-Z<>&][a-zA-Z <>&:]{0,30}[a-z]$/);
    fc.assert(
      fc.property(
        fc.tuple(name, name).chain(([a, b]) => fc.tuple(saying(a), saying(b))),
        ([left, right]) => {
          const parts = [...left, ...right];
          const cues = readVtt(writeVtt(parts));
          expect(cues.map((cue) => cue.start)).toEqual(cues.map((cue) => cue.start).sort((a, b) => a - b));
          for (const speaker of new Set(parts.map((part) => part.speaker)))
            expect(letters(cues.filter((cue) => cue.speaker === speaker).flatMap((cue) => cue.lines))).toBe(
              letters(parts.filter((part) => part.speaker === speaker).map((part) => part.text)),
            );
          for (const { lines } of readSrt(writeSrt(parts))) {
            const named = parts.find((part) => lines[0]?.startsWith(`${part.speaker}: `))?.speaker ?? null;
            expect(named).not.toBeNull();
            const room = Math.max(0, widthOf(`${named}: `) - MAX_INDENT);
            expect(widthOf(lines[0] ?? '')).toBeLessThanOrEqual(LINE_COLUMNS + room + 1);
          }
        },
      ),
    );
  });
});

describe('words', () => {
  it('join as they were', () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 2, max: 50 }), (line, width) => {
        const words = wordsOf(line, width);
        expect(joinWords(words)).toBe(line);
        for (const word of words) expect(widthOf(word.text)).toBeLessThanOrEqual(width);
      }),
    );
  });

  it('are found where there are no spaces', () => {
    expect(wordsOf('今天天气很好。我们去公园。', 42).map((word) => word.text)).toEqual([
      '今天',
      '天气',
      '很好。',
      '我们',
      '去',
      '公园。',
    ]);
  });

  it('are put after each other as their script does it', () => {
    expect(joinTexts('Hello', 'world')).toBe('Hello world');
    expect(joinTexts('你好。', '世界')).toBe('你好。世界');
    expect(joinTexts('', 'a')).toBe('a');
    expect(joinTexts('你好', 'ok')).toBe('你好 ok');
  });

  it('lose what cannot be seen', () => {
    expect(oneLine('  a\r\n\tb\u0000c \u2028 d\u0007 ')).toBe('a bc d');
    expect(sentencesOf('One. Two? Three')).toEqual(['One.', 'Two?', 'Three']);
  });
});
