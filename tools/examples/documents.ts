import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { makePdf, type PdfLine } from './pdf.ts';
import { randomFrom } from './random.ts';

/**
 * The documents of `examples/ocr`: an invoice with a text layer, a letter that looks scanned, and a list scanned into a PDF of
 * three pages. Lines are short and the print is large, so that the model that ships with the project reads them too.
 */
export const INVOICE = [
  'North Mill Paper',
  '12 River Street',
  '',
  'Invoice 2041',
  'Date 14/11/2026',
  'Customer: Ada Green',
  '',
  '4 boxes paper 26.00',
  '2 lamps 31.80',
  '1 office chair 89.50',
  '',
  'Total 147.30',
];
export const LETTER = [
  'Dear Ms Green,',
  'the old train station',
  'is closed on Monday.',
  'Please take the road',
  'behind the hospital.',
  'The doctor is there',
  'from 09:00 to 16:30.',
  'Please bring your card.',
];
export const DELIVERIES = [
  [
    'Deliveries, page 1',
    '02/11 12 boxes bread',
    '02/11 40 bottles water',
    '03/11 8 boxes apples',
    '03/11 1 large table',
  ],
  ['Deliveries, page 2', '04/11 25 guitars', '05/11 3 kitchen clocks', '05/11 60 pencils', '06/11 2 long ladders'],
  ['Deliveries, page 3', '09/11 14 winter coats', '09/11 7 small cameras', '10/11 30 lemons'],
];
const INVOICE_SCHEMA = {
  type: 'object',
  properties: {
    invoice_number: { type: 'string' },
    date: { type: 'string' },
    customer: { type: 'string' },
    items: {
      type: 'array',
      items: {
        type: 'object',
        properties: { description: { type: 'string' }, amount: { type: 'number' } },
        required: ['description', 'amount'],
        additionalProperties: false,
      },
    },
    total: { type: 'number' },
  },
  required: ['invoice_number', 'date', 'customer', 'items', 'total'],
  additionalProperties: false,
};

/** A6 in points. */
const A6 = { width: 298, height: 420 };

export async function makeDocuments(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'invoice.pdf'), makePdf([{ ...A6, font: 'Helvetica', lines: printed(INVOICE) }]));
  await writeFile(join(folder, 'invoice.schema.json'), `${JSON.stringify(INVOICE_SCHEMA, null, 2)}\n`);
  await writeFile(join(folder, 'letter.jpg'), (await scan(LETTER, 7)).data);
  const pages = await Promise.all(DELIVERIES.map((lines, i) => scan(lines, 20 + i)));
  await writeFile(join(folder, 'deliveries.pdf'), makePdf(pages.map((jpeg) => ({ ...A6, jpeg }))));
}

function printed(lines: readonly string[]): PdfLine[] {
  return lines.flatMap((text, i) => (text === '' ? [] : [{ text, x: 24, y: 52 + i * 28, size: 20 }]));
}

/** The lines on a sheet as it comes out of a scanner: a little askew, on paper that is not quite white, with grain. */
async function scan(
  lines: readonly string[],
  seed: number,
): Promise<{ data: Buffer; width: number; height: number; grey: boolean }> {
  const random = randomFrom(seed);
  // 150 dots an inch.
  const [width, height] = [620, 875];
  const angle = (random() - 0.5) * 2;
  const text = lines
    .map((line, i) => `<text x="50" y="${110 + i * 58}" xml:space="preserve">${line.replaceAll('&', '&amp;')}</text>`)
    .join('');
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">
    <defs><linearGradient id="paper"><stop offset="0" stop-color="#e6e2d8"/><stop offset="0.2" stop-color="#f4f1ea"/><stop offset="1" stop-color="#efece4"/></linearGradient></defs>
    <rect width="100%" height="100%" fill="url(#paper)"/>
    <g transform="rotate(${angle.toFixed(3)} ${width / 2} ${height / 2})" font-family="DejaVu Sans" font-size="40" fill="#2a2a30">${text}</g></svg>`;
  const { data, info } = await sharp(Buffer.from(svg))
    .blur(0.6)
    .greyscale()
    .raw()
    .toBuffer({ resolveWithObject: true });
  for (let i = 0; i < data.length; i++) data[i] = Math.max(0, Math.min(255, (data[i] ?? 0) + (random() - 0.5) * 14));
  const jpeg = await sharp(data, { raw: { width: info.width, height: info.height, channels: 1 } })
    .jpeg({ quality: 70 })
    .toBuffer();
  return { data: jpeg, width, height, grey: true };
}
