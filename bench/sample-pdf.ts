import { PDFDocument, type PDFFont, StandardFonts } from 'pdf-lib';

const WORDS =
  'the mill on the river grinds every batch of corn that the farmers bring before the morning is over'.split(' ');

/** A PDF of A4 pages full of print, no two alike: a heading, forty lines, a table. */
export async function samplePdf(pages: number): Promise<Uint8Array> {
  const pdf = await PDFDocument.create();
  const font = await pdf.embedFont(StandardFonts.TimesRoman);
  for (let page = 0; page < pages; page++) printPage(pdf, font, page);
  return pdf.save();
}

function printPage(pdf: PDFDocument, font: PDFFont, number: number): void {
  const page = pdf.addPage([595, 842]);
  page.drawText(`Report ${number}`, { x: 60, y: 780, size: 20, font });
  for (let row = 0; row < 40; row++) {
    const line = Array.from({ length: 12 }, (_, i) => WORDS[(number * 7 + row * 5 + i * 3) % WORDS.length]).join(' ');
    page.drawText(line, { x: 60, y: 740 - row * 14, size: 10, font });
  }
  for (let row = 0; row < 6; row++) {
    page.drawLine({ start: { x: 60, y: 160 - row * 18 }, end: { x: 535, y: 160 - row * 18 }, thickness: 0.7 });
    if (row < 5)
      page.drawText(`${number}-${row}     ${(number * 37 + row * 11) % 1000}.00`, {
        x: 66,
        y: 147 - row * 18,
        size: 10,
        font,
      });
  }
}
