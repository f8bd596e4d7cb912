/** Documents the tests of OCR are made of: real files, drawn in code. */
import { PDFDocument, PDFHexString, type PDFPage, StandardFonts } from 'pdf-lib';
import sharp from 'sharp';

const A5: [number, number] = [420, 595];
export const PROSE = 'The quick brown fox jumps over the lazy dog, and comes back in the evening.';

/**
 * A page each: `text` has a text layer, `scan` is a picture of lines of print, `blank` has nothing, `damaged` cannot be opened.
 */
export type PageKind = 'text' | 'scan' | 'blank' | 'damaged';

export async function pdf(...kinds: PageKind[]): Promise<Uint8Array> {
  const document = await PDFDocument.create();
  const font = await document.embedFont(StandardFonts.Helvetica);
  for (const [i, kind] of kinds.entries()) {
    const page = document.addPage(A5);
    if (kind === 'text') page.drawText(`Page ${i}. ${PROSE}`, { x: 40, y: 500, size: 9, font });
    if (kind === 'scan') await drawScan(document, page);
  }
  // The page tree counts them, but they are no pages.
  for (const [i, kind] of kinds.entries())
    if (kind === 'damaged') document.catalog.Pages().Kids().set(i, document.context.obj(42));
  return document.save({ useObjectStreams: false });
}

/** Opens with a password that nobody knows: the keys are made up. */
export async function encrypted(): Promise<Uint8Array> {
  const document = await PDFDocument.load(await pdf('text'));
  const { context } = document;
  const key = () => PDFHexString.of('5a'.repeat(32));
  context.trailerInfo.Encrypt = context.obj({ Filter: 'Standard', V: 1, R: 2, O: key(), U: key(), P: -4 });
  context.trailerInfo.ID = context.obj([PDFHexString.of('00'), PDFHexString.of('00')]);
  return document.save({ useObjectStreams: false });
}

async function drawScan(document: PDFDocument, page: PDFPage): Promise<void> {
  const [width, height] = A5;
  page.drawImage(await document.embedPng(await picture()), { x: 0, y: 0, width, height });
}

/** Six lines of print on white, the size of half a page. */
export function picture(width = 420, height = 595): Promise<Buffer> {
  const lines = Array.from({ length: 6 }, (_, i) => ({
    input: { create: { width: width - 80, height: 12, channels: 3 as const, background: '#000' } },
    left: 40,
    top: 40 + 40 * i,
  }));
  return sharp({ create: { width, height, channels: 3, background: '#fff' } })
    .composite(lines)
    .png()
    .toBuffer();
}
