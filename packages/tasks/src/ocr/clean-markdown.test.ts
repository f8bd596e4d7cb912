import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cleanMarkdown } from './clean-markdown.ts';

const markdown = (text: string) => cleanMarkdown(text).markdown;

describe('cleanMarkdown', () => {
  it.each([
    ['```markdown\n# Title\n\nText\n```', '# Title\n\nText'],
    ['```md\n# Title\n```\n', '# Title'],
    ['\n```\n# Title\n```', '# Title'],
    ['```markdown\ncut off', 'cut off'],
    ['```markdown\na\n\n```python\nx = 1\n```\n\nb\n```', 'a\n\n```python\nx = 1\n```\n\nb'],
    ['````markdown\n```\ncode\n````', '````markdown\n```\ncode\n````'],
  ])('takes the fence off %j', (text, wanted) => {
    expect(markdown(text)).toBe(wanted);
  });

  it.each([
    '```python\nx = 1\n```',
    '```\nfirst\n```\n\ntext\n\n```\nsecond\n```',
    'text\n\n```\ncode\n```',
    '# Title\n\n- a\n  - b',
  ])('leaves %j', (text) => {
    expect(cleanMarkdown(text)).toEqual({ markdown: text, repeated: false });
  });

  it('drops blanks at the ends of lines, not line breaks of Markdown', () => {
    expect(markdown('\n\n a \t\nb   \nc  \n\nd  \r\n  e\r\n   \n')).toBe(' a\nb  \nc\n\nd  \n  e');
    expect(markdown('    indented\n')).toBe('    indented');
    expect(markdown('')).toBe('');
    expect(markdown(' \n \n')).toBe('');
  });

  it.each([
    ['Intro\nTotal: 5\n', 'Total: 5\n', 'Intro\nTotal: 5'],
    ['A mat\n', 'The cat sat on a mat\n', 'A mat\nThe cat sat on a mat'],
    ['| a | b |\n| --- | --- |\n', '| 1 | 2 |\n| 3 | 4 |\n', '| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |'],
    ['So he said ', 'and then he went away ', 'So he said and then he went away'],
    ['', 'the same paragraph\n\nagain\n\n', 'the same paragraph\n\nagain'],
    ['x ', '重复的话。', 'x 重复的话。'],
  ])('says the loop after %j once', (before, unit, wanted) => {
    for (const times of [8.5, 9, 20.3, 60]) {
      const loop = unit.repeat(Math.ceil(times)).slice(0, Math.floor(times * unit.length));
      if (!unit.includes('\n') && loop.length < 210) continue;
      expect(cleanMarkdown(before + loop), `${times}`).toEqual({ markdown: wanted, repeated: true });
    }
  });

  it.each([
    ['seven equal lines', `a\n${'Total: 5\n'.repeat(7)}`.trimEnd()],
    ['a table of zeros', `| a |\n| --- |\n${'| 0 '.repeat(24)}|`],
    ['a wide table without rows', `${'| name '.repeat(20)}|\n${'|---'.repeat(20)}|`],
    ['a form', `Name\n${'_'.repeat(300)}\n${'| | |\n'.repeat(20)}`.trimEnd()],
    ['a table of contents', `One ${'.'.repeat(80)} 5\nTwo ${'.'.repeat(80)} 7`],
    ['equal lines that are not the end', `${'Total: 5\n'.repeat(12)}That is all.`],
  ])('knows %s from a loop', (_, text) => {
    expect(cleanMarkdown(text)).toEqual({ markdown: text, repeated: false });
  });

  it('finds any loop of lines at the end and leaves what is before', () => {
    const line = fc.stringMatching(/^[a-z]{3,12}( [a-z]{3,12}){0,5}$/);
    fc.assert(
      fc.property(
        fc.uniqueArray(line, { minLength: 2, maxLength: 12 }),
        fc.integer({ min: 1, max: 11 }),
        fc.integer({ min: 8, max: 40 }),
        (lines, at, times) => {
          const unit = lines.slice(Math.min(at, lines.length - 1));
          const before = lines.slice(0, lines.length - unit.length);
          const text = [...before, ...Array.from({ length: times }, () => unit).flat()].join('\n');
          expect(cleanMarkdown(text)).toEqual({ markdown: lines.join('\n'), repeated: true });
        },
      ),
    );
  });

  it('changes nothing the second time, whatever the text', () => {
    const piece = fc.constantFrom(
      'a',
      'b ',
      '  ',
      '\n',
      '```',
      '```md\n',
      '| 1 ',
      '\n\n',
      'x\n',
      '.',
      'é',
      '\r\n',
      '😀',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), fc.integer({ min: 1, max: 60 }), (pieces, times) => {
        const once = cleanMarkdown(pieces.join('') + pieces.slice(0, 4).join('').repeat(times)).markdown;
        fc.pre(!/^\s*```/.test(once));
        expect(cleanMarkdown(once).markdown).toBe(once);
      }),
      { numRuns: 500 },
    );
  });

  it('is quick on long loops', () => {
    const start = performance.now();
    cleanMarkdown(`${'ab'.repeat(200_000)}c${'d '.repeat(100_000)}`);
    cleanMarkdown(`${' '.repeat(200_000)}x`);
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});
