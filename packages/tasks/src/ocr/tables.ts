import { Lexer, type Token, type Tokens } from 'marked';
import { htmlTable, markdownTable, readHtmlTable, readMarkdownTable, type TableRows } from './table-formats.ts';

export type TableFormat = 'markdown' | 'html';

/** A table taken out of a page, as Mistral's OCR API names it: `id` is `tbl-0.md` or `tbl-0.html`, counted per page. */
export interface Table {
  id: string;
  content: string;
  format: TableFormat;
}

/** Each HTML table has what follows it parsed again; no page has so many. */
const MOST_TABLES = 500;

/**
 * `table_format` of Mistral's OCR API: `null` leaves tables in the Markdown, as they are; `markdown` and `html` take them
 * out, and a link `[tbl-0.html](tbl-0.html)` stands where one was. Models write tables as Markdown or as HTML; either
 * becomes what was asked for. HTML is made anew from rows and cells: nothing but structure and simple formatting of the
 * model's own survives, however hostile the page it read. Cells over several rows or columns are repeated in Markdown,
 * which has none. Tables in quotations and lists stay where they are.
 */
export function takeTables(markdown: string, format: TableFormat | null): { markdown: string; tables: Table[] } {
  const tables: Table[] = [];
  if (format === null) return { markdown, tables };
  const text = markdown.replaceAll(/\r\n?/g, '\n');
  const blocks: string[] = [];
  let at = 0;
  for (const { start, end, table, source } of findTables(text)) {
    const id = `tbl-${tables.length}.${format === 'html' ? 'html' : 'md'}`;
    // What is Markdown already stays as the model set it out.
    const content = format === 'html' ? htmlTable(table) : (source ?? markdownTable(table));
    tables.push({ id, content, format });
    blocks.push(text.slice(at, start), `[${id}](${id})`);
    at = end;
  }
  if (tables.length === 0) return { markdown, tables };
  blocks.push(text.slice(at));
  const page = blocks.map((block) => block.replace(/^(\s*\n)+/, '').trimEnd()).filter((block) => block !== '');
  return { markdown: page.join('\n\n'), tables };
}

interface Found {
  start: number;
  end: number;
  table: TableRows;
  /** Of a Markdown table, what was written. */
  source: string | null;
}

/** The tables of a text in order, not those inside blocks of code. */
function findTables(text: string): Found[] {
  const found: Found[] = [];
  // Up to here HTML is known to have no table that is one.
  let barren = 0;
  for (let from: number | null = 0; from !== null && found.length < MOST_TABLES; ) {
    let at: number = from;
    from = null;
    for (const token of blocksOf(text.slice(at))) {
      // Of some lists, blanks are missing in `raw`, so it is looked for rather than counted.
      const start = text.indexOf(token.raw, at);
      if (start < 0) continue;
      at = start + token.raw.length;
      if (isTable(token)) found.push({ start, end: at, table: readMarkdownTable(token), source: token.raw.trimEnd() });
      if (token.type !== 'html' && token.type !== 'paragraph') continue;
      for (const opening of token.raw.matchAll(/<table\b/gi)) {
        const begin = start + opening.index;
        if (begin < barren) continue;
        const end = endOfHtmlTable(text, begin);
        const table = readHtmlTable(text.slice(begin, end));
        barren = end;
        if (table === null) continue;
        found.push({ start: begin, end, table, source: null });
        // Blank lines end HTML in Markdown, but not a table: what follows it is parsed anew.
        from = end;
        break;
      }
      if (from !== null) break;
    }
  }
  return found;
}

/** Nothing, if the text is made to exhaust the parser: thousands of quotations in each other. */
function blocksOf(text: string): Token[] {
  try {
    return new Lexer({ gfm: true }).blockTokens(text);
  } catch {
    return [];
  }
}

const isTable = (token: Token): token is Tokens.Table => token.type === 'table';

/** After the closing tag, or the end of the text if the answer was cut off before it. */
function endOfHtmlTable(text: string, start: number): number {
  let depth = 0;
  for (const tag of text.slice(start).matchAll(/<(\/?)table\b[^>]*>/gi)) {
    depth += tag[1] === '' ? 1 : -1;
    if (depth > 0) continue;
    const end = start + tag.index + tag[0].length;
    return end + (/^[ \t]*/.exec(text.slice(end))?.[0].length ?? 0);
  }
  return text.length;
}
