import { Marked, type Tokens } from 'marked';
import { type DefaultTreeAdapterTypes, defaultTreeAdapter, html as names, parseFragment } from 'parse5';

/** Content of a cell as HTML with only the tags of `FORMATTING`, text escaped. */
export interface Cell {
  html: string;
  header: boolean;
  columns: number;
  rows: number;
}

export interface TableRows {
  caption: string | null;
  rows: Cell[][];
}

/** What a cell may say of how its text looks. It is allowed in Markdown too. */
const FORMATTING = new Set(['b', 'strong', 'i', 'em', 'u', 's', 'del', 'sub', 'sup', 'code']);

const isFormatting = (tag: string) => FORMATTING.has(/^<\/?([a-z]+)>$/.exec(tag)?.[1] ?? '');

const escapeHtml = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** Inline Markdown of a cell. Links and pictures keep their text alone: where they lead, the model made up or a page did. */
const inline = new Marked({
  gfm: true,
  async: false,
  renderer: {
    html: ({ text }) => (/^<br\s*\/?>$/i.test(text) ? '<br>' : isFormatting(text) ? text : escapeHtml(text)),
    link(token) {
      return this.parser.parseInline(token.tokens);
    },
    image: ({ text }) => escapeHtml(text),
  },
});

export function readMarkdownTable(table: Tokens.Table): TableRows {
  const cell = ({ text, header }: Tokens.TableCell): Cell => ({
    html: String(inline.parseInline(text)),
    header,
    columns: 1,
    rows: 1,
  });
  return { caption: null, rows: [table.header, ...table.rows].map((row) => row.map(cell)) };
}

type Node = DefaultTreeAdapterTypes.ChildNode;
type Element = DefaultTreeAdapterTypes.Element;

/** The table a piece of HTML begins with, read as a browser would; `null` if it has no cell. */
export function readHtmlTable(source: string): TableRows | null {
  const table = parseFragment(source)
    .childNodes.filter(isElement)
    .find(({ tagName }) => tagName === 'table');
  if (table === undefined) return null;
  const rows = rowsOf(table).map((row) =>
    row.childNodes
      .filter(isElement)
      .filter(isCell)
      .map((cell) => ({
        html: contentOf(cell).trim(),
        header: cell.tagName === 'th',
        columns: span(cell, 'colspan'),
        rows: span(cell, 'rowspan'),
      })),
  );
  if (!rows.some((row) => row.length > 0)) return null;
  const caption = table.childNodes.filter(isElement).find(({ tagName }) => tagName === 'caption');
  return { caption: caption === undefined ? null : contentOf(caption).trim(), rows };
}

const isElement = (node: Node): node is Element => defaultTreeAdapter.isElementNode(node);
const isCell = ({ tagName }: Element) => tagName === 'td' || tagName === 'th';

/** Of the table itself, not of tables in its cells. */
function rowsOf(parent: Element): Element[] {
  return parent.childNodes.filter(isElement).flatMap((child) => {
    if (child.tagName === 'tr') return [child];
    return ['thead', 'tbody', 'tfoot'].includes(child.tagName) ? rowsOf(child) : [];
  });
}

function span(cell: Element, name: string): number {
  const value = Number.parseInt(cell.attrs.find((attribute) => attribute.name === name)?.value ?? '1', 10);
  // The bounds are ours: a table of print has no more.
  return Number.isNaN(value) ? 1 : Math.min(100, Math.max(1, value));
}

/** Text deeper inside is not from print, and would exhaust the stack. */
const DEEPEST = 50;

function contentOf(parent: Element, depth = 0): string {
  if (depth > DEEPEST) return '';
  return parent.childNodes
    .map((node) => {
      if (defaultTreeAdapter.isTextNode(node)) return escapeHtml(node.value.replaceAll(/\s+/g, ' '));
      if (!isElement(node) || HIDDEN.has(node.tagName)) return '';
      if (node.tagName === 'br') return '<br>';
      const content = contentOf(node, depth + 1);
      if (FORMATTING.has(node.tagName)) return `<${node.tagName}>${content}</${node.tagName}>`;
      // Paragraphs, lists and cells of a table in the cell: one after the other.
      return node.namespaceURI === names.NS.HTML && BLOCKS.has(node.tagName) ? ` ${content} ` : content;
    })
    .join('')
    .replaceAll(/ {2,}/g, ' ');
}

const HIDDEN = new Set(['script', 'style', 'template', 'head', 'title', 'noscript', 'iframe']);
const BLOCKS = new Set(['p', 'div', 'ul', 'ol', 'li', 'table', 'caption', 'tr', 'td', 'th', 'h1', 'h2', 'h3', 'h4']);

/** HTML of a table: structure, escaped text and simple formatting. Leading rows of header cells are its head. */
export function htmlTable({ caption, rows }: TableRows): string {
  const body = rows.findIndex((row) => row.length === 0 || !row.every((cell) => cell.header));
  const head = body < 0 ? rows.length : body;
  const section = (name: string, of: readonly Cell[][]) =>
    of.length === 0 ? '' : `<${name}>\n${of.map(htmlRow).join('\n')}\n</${name}>\n`;
  const title = caption === null ? '' : `<caption>${caption}</caption>\n`;
  return `<table>\n${title}${section('thead', rows.slice(0, head))}${section('tbody', rows.slice(head))}</table>`;
}

function htmlRow(cells: readonly Cell[]): string {
  const cell = ({ html, header, columns, rows }: Cell) => {
    const name = header ? 'th' : 'td';
    const spans = `${columns > 1 ? ` colspan="${columns}"` : ''}${rows > 1 ? ` rowspan="${rows}"` : ''}`;
    return `<${name}${spans}>${html}</${name}>`;
  };
  return `<tr>${cells.map(cell).join('')}</tr>`;
}

/** A table of GitHub's Markdown: the first row is its header, a cell over several places is in each of them. */
export function markdownTable({ caption, rows }: TableRows): string {
  const [header = [], ...body] = gridOf(rows);
  // Rows may be shorter than the header, but what is longer is not shown.
  const columns = Math.max(1, header.length, ...body.map((row) => row.length));
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const lines = [
    line(Array.from({ length: columns }, (_, i) => header[i] ?? '')),
    line(Array<string>(columns).fill('---')),
    ...body.map(line),
  ];
  return `${caption === null ? '' : `${caption}\n\n`}${lines.join('\n')}`;
}

/** Spans that would make more places than this are those of no printed table, and are taken for one place. */
const MOST_PLACES = 20_000;

/** What stands at each place of each row. Spans end with the table. */
function gridOf(rows: readonly Cell[][]): string[][] {
  const widest = Math.max(0, ...rows.map((row) => row.reduce((sum, cell) => sum + cell.columns, 0)));
  const spread = rows.length * widest <= MOST_PLACES;
  const grid: (string | undefined)[][] = rows.map(() => []);
  rows.forEach((cells, top) => {
    let column = 0;
    for (const cell of cells) {
      while (grid[top]?.[column] !== undefined) column++;
      const end = column + (spread ? cell.columns : 1);
      for (const row of grid.slice(top, top + (spread ? cell.rows : 1)))
        for (let i = column; i < end; i++) row[i] ??= cell.html;
      column = end;
    }
  });
  return grid.map((row) => Array.from(row, (html) => html ?? ''));
}
