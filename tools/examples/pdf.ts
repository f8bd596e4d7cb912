/**
 * Writes PDF files (ISO 32000-1, version 1.4) of two kinds of pages: text in one of the standard fonts, which every viewer has, and a
 * picture that covers the page, as scanners make them.
 */

export type PdfPage =
  | { width: number; height: number; font: StandardFont; lines: readonly PdfLine[] }
  | { width: number; height: number; jpeg: { data: Uint8Array; width: number; height: number; grey: boolean } };

export type StandardFont = 'Helvetica' | 'Helvetica-Bold' | 'Times-Roman' | 'Times-Bold' | 'Courier' | 'Courier-Bold';

export interface PdfLine {
  /** Printable ASCII. */
  text: string;
  /** Where it begins: from the left edge, and its baseline from the top edge. Points of 1/72 inch, like all sizes here. */
  x: number;
  y: number;
  size: number;
}

/** The file. The same pages give the same bytes: there is no date and no id inside. */
export function makePdf(pages: readonly PdfPage[]): Buffer {
  const objects: Buffer[] = [];
  const add = (body: string | Buffer): number => objects.push(Buffer.from(body));
  const stream = (dictionary: string, data: Uint8Array): number =>
    add(
      Buffer.concat([
        Buffer.from(`<< ${dictionary} /Length ${data.byteLength} >>\nstream\n`),
        data,
        Buffer.from('\nendstream'),
      ]),
    );
  add('<< /Type /Catalog /Pages 2 0 R >>');
  // Filled in when the pages have their numbers.
  add('');
  const kids = pages.map((page) => {
    const { width, height } = page;
    const [resources, content] = 'jpeg' in page ? picture(page, stream) : text(page, add);
    const contents = stream('', Buffer.from(content, 'latin1'));
    return add(
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${width} ${height}] /Resources << ${resources} >> /Contents ${contents} 0 R >>`,
    );
  });
  objects[1] = Buffer.from(
    `<< /Type /Pages /Count ${kids.length} /Kids [${kids.map((kid) => `${kid} 0 R`).join(' ')}] >>`,
  );
  return assemble(objects);
}

function text(page: Extract<PdfPage, { font: string }>, add: (body: string) => number): [string, string] {
  const font = add(`<< /Type /Font /Subtype /Type1 /BaseFont /${page.font} /Encoding /WinAnsiEncoding >>`);
  const lines = page.lines.map(
    ({ text, x, y, size }) =>
      `BT /F1 ${size} Tf ${x.toFixed(2)} ${(page.height - y).toFixed(2)} Td (${text.replace(/[\\()]/g, '\\$&')}) Tj ET`,
  );
  return [`/Font << /F1 ${font} 0 R >>`, lines.join('\n')];
}

function picture(
  { width, height, jpeg }: Extract<PdfPage, { jpeg: object }>,
  stream: (dictionary: string, data: Uint8Array) => number,
): [string, string] {
  const image = stream(
    `/Type /XObject /Subtype /Image /Width ${jpeg.width} /Height ${jpeg.height} /BitsPerComponent 8 ` +
      `/ColorSpace /Device${jpeg.grey ? 'Gray' : 'RGB'} /Filter /DCTDecode`,
    jpeg.data,
  );
  return [`/XObject << /I1 ${image} 0 R >>`, `q ${width} 0 0 ${height} 0 0 cm /I1 Do Q`];
}

/** Header, objects, cross-reference table and trailer (§7.5). */
function assemble(objects: readonly Buffer[]): Buffer {
  const parts: Buffer[] = [Buffer.from('%PDF-1.4\n%\u00e2\u00e3\u00cf\u00d3\n', 'latin1')];
  let at = parts[0]?.length ?? 0;
  const places: number[] = [];
  for (const [i, body] of objects.entries()) {
    const part = Buffer.concat([Buffer.from(`${i + 1} 0 obj\n`), body, Buffer.from('\nendobj\n')]);
    places.push(at);
    at += part.length;
    parts.push(part);
  }
  const table = places.map((place) => `${String(place).padStart(10, '0')} 00000 n \n`).join('');
  parts.push(
    Buffer.from(
      `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${table}` +
        `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${at}\n%%EOF\n`,
    ),
  );
  return Buffer.concat(parts);
}
