export type TableFormat = 'markdown' | 'html';

/** A table taken out of a page, as Mistral's OCR API names it: `id` is `tbl-0.md` or `tbl-0.html`, counted per page. */
export interface Table {
  id: string;
  content: string;
  format: TableFormat;
}

export function takeTables(markdown: string, _format: TableFormat | null): { markdown: string; tables: Table[] } {
  return { markdown, tables: [] };
}
