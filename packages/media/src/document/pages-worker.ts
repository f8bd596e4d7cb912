import { move } from 'piscina';
import sharp, { type OutputInfo } from 'sharp';
import { decodeHeic } from './heic.ts';
import { MAX_PAGE_PIXELS, type PageOptions, type PagePixels, type PreparedPage, tilesOf } from './page.ts';
import { type PdfDocument, PdfError, Pdfium } from './pdfium.ts';
import { judgeTextLayer, type TextLayer } from './text-layer.ts';

/** What a thread of the pool is asked: about a file on disk, again and again, page by page. */
export type PageJob =
  | { ask: 'pages'; file: DocumentFile }
  | { ask: 'text'; file: DocumentFile; index: number }
  | { ask: 'prepare'; file: DocumentFile; index: number; options: PageOptions };

export interface DocumentFile {
  path: string;
  /** Size in bytes. */
  bytes: number;
  format: 'pdf' | 'picture' | 'heic';
}

export type PageAnswer =
  | { pages: number }
  | { text: TextLayer | null }
  | { page: PreparedPage }
  | { refused: 'damaged' | 'encrypted' | 'memory' | 'too_large'; message: string };

sharp.concurrency(1);
sharp.cache(false);

/** Documents kept open, so that each page does not begin with opening them. */
const OPEN = 3;
/** PDFium's memory never shrinks: after a page that made it grow so far its thread is ended. */
const MEMORY = 256 * 2 ** 20;
/** Most pixels of a picture as it comes. A defence against decompression bombs; A3 at 800 dpi has 118 million. */
const PICTURE_PIXELS = 150_000_000;
/** HEIC is decoded whole, 5.5 bytes to a pixel. Phones take 48 million. */
const HEIC_PIXELS = 50_000_000;

let pdfium: Pdfium | null = null;
const open = new Map<string, PdfDocument>();

/** What a thread gives back. */
export interface PageWork {
  answer: PageAnswer;
  /** The thread is to be ended: its PDFium is of no use any more, or holds more memory than is wanted, and only so gives it back. */
  spent: boolean;
}

/** Entry of a thread. What is wrong with the document or the page is an answer; anything thrown is our fault. */
export default async function work(job: PageJob): Promise<PageWork> {
  const { answer, trapped } = await answerTo(job);
  return { answer, spent: trapped || (pdfium !== null && pdfium.memory > MEMORY) };
}

async function answerTo(job: PageJob): Promise<{ answer: PageAnswer; trapped: boolean }> {
  try {
    const answer = await (job.file.format === 'pdf' ? ofPdf(job) : ofPicture(job));
    if ('page' in answer) for (const { data } of answer.page.tiles) moved(data);
    return { answer, trapped: false };
  } catch (error) {
    if (error instanceof PdfError) return { answer: { refused: error.reason, message: error.message }, trapped: false };
    // PDFium ran out of memory or into a trap.
    if (pdfium !== null && error instanceof Error && (error.name === 'RuntimeError' || error instanceof RangeError)) {
      open.clear();
      const { reason, message } = pdfium.abandon();
      pdfium = null;
      return { answer: { refused: reason, message }, trapped: true };
    }
    throw error;
  }
}

async function ofPdf(job: PageJob): Promise<PageAnswer> {
  const document = await openPdf(job.file);
  if (job.ask === 'pages') return { pages: document.pages };
  if (job.ask === 'text')
    return { text: document.page(job.index, (p) => judgeTextLayer({ ...p.text(), ...p.content() })) };
  const { options } = job;
  const { pixels, dpi } = document.page(job.index, (p) => {
    const most = options.maxPixels ?? MAX_PAGE_PIXELS;
    const inches = (p.width / 72) * (p.height / 72);
    const bounded = Math.min(options.dpi, Math.sqrt(most / Math.max(1e-6, inches)));
    return { pixels: p.render(bounded), dpi: Math.round(bounded) };
  });
  return { page: await prepared({ ...pixels, channels: 4 }, dpi, options) };
}

async function openPdf({ path }: DocumentFile): Promise<PdfDocument> {
  const known = open.get(path);
  if (known !== undefined) {
    // Last used, last closed.
    open.delete(path);
    open.set(path, known);
    return known;
  }
  for (const [other, document] of open) {
    if (open.size < OPEN) break;
    document.close();
    open.delete(other);
  }
  pdfium ??= await Pdfium.load();
  const document = pdfium.open(path);
  open.set(path, document);
  return document;
}

async function ofPicture(job: PageJob): Promise<PageAnswer> {
  if (job.ask === 'text') return { text: null };
  const { path, format } = job.file;
  if (job.ask === 'pages') {
    if (format === 'heic') return { pages: 1 };
    const { pages = 1, format: kind } = await readable(() => sharp(path, { limitInputPixels: false }).metadata());
    // The frames of an animation are no pages.
    return { pages: kind === 'tiff' ? pages : 1 };
  }
  const most = job.options.maxPixels ?? MAX_PAGE_PIXELS;
  const pixels = await (format === 'heic' ? decodeHeic(path, HEIC_PIXELS) : decodePicture(path, job.index, most));
  if (!('data' in pixels)) return { refused: 'too_large', message: pixels.tooLarge };
  return { page: await prepared(await scaledDown(pixels, most), null, job.options) };
}

/** What cannot be decoded at a smaller size, made smaller. */
async function scaledDown(pixels: PagePixels, most: number): Promise<PagePixels> {
  const { width, height, channels } = pixels;
  if (width * height <= most) return pixels;
  const { data, info } = await sharp(pixels.data, { raw: { width, height, channels }, limitInputPixels: false })
    .resize(Math.max(1, Math.floor(width * Math.sqrt(most / (width * height)))))
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height, channels: 3 };
}

async function decodePicture(path: string, page: number, most: number): Promise<PagePixels | { tooLarge: string }> {
  return readable(async () => {
    // As it is turned to be seen: so does sharp scale it.
    const { width, height } = (await sharp(path, { page, limitInputPixels: false }).metadata()).autoOrient;
    if (width * height > PICTURE_PIXELS)
      return { tooLarge: `it has ${width} × ${height} pixels; at most ${PICTURE_PIXELS} in all are read` };
    const scale = Math.min(1, Math.sqrt(most / (width * height)));
    const { data, info } = await sharp(path, { page, failOn: 'truncated', limitInputPixels: PICTURE_PIXELS })
      .resize(Math.max(1, Math.floor(width * scale)))
      .autoOrient()
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .removeAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    const colour = info.channels === 3 ? data : await sharp(data, raw(info)).toColourspace('srgb').raw().toBuffer();
    return { data: colour, width: info.width, height: info.height, channels: 3 };
  });
}

/** What sharp throws of a file is the file's fault. */
async function readable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const reason = error instanceof Error ? (error.message.trim().split('\n')[0] ?? '') : '';
    throw new PdfError('damaged', `it is damaged or cut off: ${reason.slice(0, 120)}`);
  }
}

const raw = ({ width, height, channels }: OutputInfo) => ({ raw: { width, height, channels } });

async function prepared(pixels: PagePixels, dpi: number | null, options: PageOptions): Promise<PreparedPage> {
  return { width: pixels.width, height: pixels.height, dpi, tiles: await tilesOf(pixels, options) };
}

/** Hands the memory over instead of copying it, if nothing else is in it. */
function moved(data: Uint8Array): void {
  if (data.buffer instanceof ArrayBuffer && data.buffer.byteLength === data.byteLength) move(data.buffer);
}
