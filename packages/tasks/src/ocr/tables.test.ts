import fc from 'fast-check';
import { Lexer, type Tokens } from 'marked';
import { describe, expect, it } from 'vitest';
import { readHtmlTable } from './table-formats.ts';
import { takeTables } from './tables.ts';

const contents = (markdown: string, format: 'markdown' | 'html') =>
  takeTables(markdown, format).tables.map((table) => table.content);

const prices = '| Item | Price |\n| --- | ---: |\n| Tea | 2 |';

describe('takeTables', () => {
  it('leaves everything without a format', () => {
    const page = `text\n\n${prices}\n\n<table><tr><td>1</td></tr></table>`;
    expect(takeTables(page, null)).toEqual({ markdown: page, tables: [] });
  });

  it('leaves a page without tables as it is', () => {
    for (const page of ['', 'a | b\nc', '# Title\n\n- a\n- b  \nc', 'the <table> tag', '<table></table>'])
      expect(takeTables(page, 'html')).toEqual({ markdown: page, tables: [] });
  });

  it('puts a link where a table was, as Mistral does', () => {
    const page = `# Order\nOf today:\n${prices}\n\nThanks.\n\n| a |\n| - |\n| b |\n## End`;
    expect(takeTables(page, 'markdown')).toEqual({
      markdown: '# Order\nOf today:\n\n[tbl-0.md](tbl-0.md)\n\nThanks.\n\n[tbl-1.md](tbl-1.md)\n\n## End',
      tables: [
        { id: 'tbl-0.md', content: prices, format: 'markdown' },
        { id: 'tbl-1.md', content: '| a |\n| - |\n| b |', format: 'markdown' },
      ],
    });
    expect(takeTables(page, 'html')).toEqual({
      markdown: '# Order\nOf today:\n\n[tbl-0.html](tbl-0.html)\n\nThanks.\n\n[tbl-1.html](tbl-1.html)\n\n## End',
      tables: [
        {
          id: 'tbl-0.html',
          content:
            '<table>\n<thead>\n<tr><th>Item</th><th>Price</th></tr>\n</thead>\n' +
            '<tbody>\n<tr><td>Tea</td><td>2</td></tr>\n</tbody>\n</table>',
          format: 'html',
        },
        { id: 'tbl-1.html', content: expect.stringContaining('<td>b</td>'), format: 'html' },
      ],
    });
  });

  it('takes HTML tables, with blank lines in them, in a line of text, or cut off', () => {
    const page =
      'See <table>\n<caption>Sums</caption>\n\n<tr><th colspan="2">Q1 &amp; Q2</th></tr>\n\n<tr><td>1|2</td><td>3<br>4</td></tr></table> here.\n\n<table><tr><td>cut';
    expect(takeTables(page, 'markdown').markdown).toBe('See\n\n[tbl-0.md](tbl-0.md)\n\nhere.\n\n[tbl-1.md](tbl-1.md)');
    expect(contents(page, 'markdown')).toEqual([
      'Sums\n\n| Q1 &amp; Q2 | Q1 &amp; Q2 |\n| --- | --- |\n| 1\\|2 | 3<br>4 |',
      '| cut |\n| --- |',
    ]);
    expect(contents(page, 'html')).toEqual([
      '<table>\n<caption>Sums</caption>\n<thead>\n<tr><th colspan="2">Q1 &amp; Q2</th></tr>\n</thead>\n' +
        '<tbody>\n<tr><td>1|2</td><td>3<br>4</td></tr>\n</tbody>\n</table>',
      '<table>\n<tbody>\n<tr><td>cut</td></tr>\n</tbody>\n</table>',
    ]);
  });

  it('puts a cell over several rows in each of them', () => {
    const html =
      '<table><tr><td rowspan="2">a</td><td>b</td></tr><tr><td>c</td></tr><tr><td rowspan=9>d</td><td>e</td></tr></table>';
    expect(contents(html, 'markdown')).toEqual(['| a | b |\n| --- | --- |\n| a | c |\n| d | e |']);
  });

  it('leaves code alone', () => {
    const page = '```\n| a |\n| - |\n<table><tr><td>1</td></tr></table>\n```\n\n    <table><tr><td>1</td></tr></table>';
    expect(takeTables(page, 'html')).toEqual({ markdown: page, tables: [] });
  });

  it('keeps simple formatting and nothing that acts', () => {
    const hostile =
      '| **b** <sub>2</sub> | [l](javascript:alert(1)) | <img src=x onerror=a> ![alt"](x) |\n| - | - | - |\n\n' +
      '<table onclick=a><tr><td style="x" onclick=a><b onclick=a>x</b><script>alert(1)</script><a href="javascript:a">y</a>' +
      '<img src=x onerror=a>&lt;i&gt;<table><tr><td>in</td></tr></table></td></tr></table>';
    const [first, second] = contents(hostile, 'html');
    expect(first).toContain(
      '<th><strong>b</strong> <sub>2</sub></th><th>l</th><th>&lt;img src=x onerror=a&gt; alt&quot;</th>',
    );
    expect(second).toContain('<td><b>x</b>y&lt;i&gt; in</td>');
  });

  const word = fc.stringMatching(/^[a-zA-Z0-9äß<>&"'|€.,:;()%/-]{1,10}$/);
  const grid = fc
    .tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 }))
    .chain(([columns, rows]) =>
      fc.array(fc.array(word, { minLength: columns, maxLength: columns }), { minLength: rows, maxLength: rows }),
    );
  const html = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const cells = (table: string) =>
    readHtmlTable(table)?.rows.map((row) =>
      row.map((cell) =>
        cell.html
          .replaceAll('&lt;', '<')
          .replaceAll('&gt;', '>')
          .replaceAll('&quot;', '"')
          .replaceAll('&#39;', "'")
          .replaceAll('&amp;', '&'),
      ),
    );

  it('has in HTML what the cells said, whatever it was', () => {
    fc.assert(
      fc.property(grid, (rows) => {
        // Entities, so that no cell means anything in Markdown.
        const line = (row: string[]) => `| ${row.map((cell) => html(cell).replaceAll('|', '\\|')).join(' | ')} |`;
        const [header = [], ...body] = rows;
        const page = ['before', '', line(header), line(header.map(() => '---')), ...body.map(line), '', 'after'].join(
          '\n',
        );
        const { markdown, tables } = takeTables(page, 'html');
        expect(markdown).toBe('before\n\n[tbl-0.html](tbl-0.html)\n\nafter');
        expect(cells(tables[0]?.content ?? '')).toEqual(rows);
      }),
    );
  });

  it('has in Markdown what the cells of HTML said', () => {
    fc.assert(
      fc.property(grid, (rows) => {
        const page = `<table>${rows.map((row) => `<tr>${row.map((cell) => `<td>${html(cell)}</td>`).join('')}</tr>`).join('\n\n')}</table>`;
        const [table = ''] = contents(page, 'markdown');
        const [token] = new Lexer({ gfm: true }).blockTokens(table);
        expect(token?.type).toBe('table');
        const again = takeTables(table, 'html').tables[0]?.content ?? '';
        expect(cells(again)).toEqual(rows);
      }),
    );
  });

  it('loses no text and leaves no table, whatever the page', () => {
    const piece = fc.constantFrom(
      'word ',
      '\n',
      '\n\n',
      '| a | b |\n',
      '|---|---|\n',
      '<table>',
      '</table>',
      '<tr>',
      '<td>x',
      '</td>',
      '- ',
      '> ',
      '    ',
      '```\n',
      '#',
      '<div>',
      '\t',
      '\r\n',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const page = pieces.join('');
        const { markdown, tables } = takeTables(page, 'html');
        const words = (text: string) => text.match(/word/g)?.length ?? 0;
        const all = markdown + tables.map((table) => table.content).join('');
        // HTML drops text between the rows of a table or moves it out; all other text stays.
        if (!page.includes('<table>')) expect(words(all)).toBe(words(page));
        for (const [i, { id }] of tables.entries()) {
          expect(id).toBe(`tbl-${i}.html`);
          expect(markdown.split(`[${id}](${id})`)).toHaveLength(2);
        }
        if (tables.length > 0)
          expect(
            new Lexer({ gfm: true }).blockTokens(markdown).some((t): t is Tokens.Table => t.type === 'table'),
          ).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['quotations in each other', '>'.repeat(20_000)],
    ['tables in each other', '<table><tr><td>'.repeat(2_000)],
    ['openings without a table', '<table>\n\n'.repeat(3_000)],
    ['very many tables', `${prices}\n\n`.repeat(1_000)],
    ['cells over a million places', `<table>${'<tr><td rowspan=100 colspan=100>x</td></tr>'.repeat(600)}</table>`],
  ])('is quick and of bounded size for %s', (_, page) => {
    const start = performance.now();
    for (const format of ['markdown', 'html'] as const) {
      const { markdown, tables } = takeTables(page, format);
      const size = tables.reduce((sum, table) => sum + table.content.length, markdown.length);
      expect(size).toBeLessThan(5 * page.length + 10_000);
    }
    expect(performance.now() - start).toBeLessThan(5_000);
  });
});
