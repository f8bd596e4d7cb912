import { readFile } from 'node:fs/promises';
import decode from 'heic-decode';
import type { PagePixels } from './page.ts';
import { PdfError } from './pdfium.ts';

/**
 * Decodes the first picture of a HEIC file, as phones take them (libheif in WASM: sharp's own build leaves HEVC out).
 * Turned as it is to be seen: libheif does what the file says.
 */
export async function decodeHeic(path: string, maxPixels: number): Promise<PagePixels | { tooLarge: string }> {
  try {
    const pictures = await decode.all({ buffer: await readFile(path) });
    try {
      const first = pictures[0];
      if (first === undefined) throw new PdfError('damaged', 'it holds no picture');
      const { width, height } = first;
      if (width * height > maxPixels)
        return { tooLarge: `it has ${width} × ${height} pixels; at most ${maxPixels} in all are read` };
      const { data } = await first.decode();
      return { data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength), width, height, channels: 4 };
    } finally {
      pictures.dispose();
    }
  } catch (error) {
    if (error instanceof PdfError) throw error;
    throw new PdfError('damaged', 'it is damaged, or in a form of HEIC that is not supported');
  }
}
