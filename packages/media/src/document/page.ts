import sharp from 'sharp';
import { sizeWithin } from '../image/budget.ts';
import { planTiles } from '../image/tiles.ts';

export interface PageOptions {
  /** Of PDF pages: dots per inch. Lower where the page would have more than `maxPixels`. */
  dpi: number;
  /** Most tokens one picture may cost. */
  maxTokens: number;
  /** Most lines of print in one picture; `null`: as many as there are. */
  tileLines: number | null;
  /** Most pixels a page is read at; larger ones are scaled down. Default 24 million: A4 at 400 dpi has 16. */
  maxPixels?: number;
}

export const MAX_PAGE_PIXELS = 24_000_000;

/** A page ready for the engine, in one picture or several from top to bottom. */
export interface PreparedPage {
  /** Pixels of the page as it was rendered, or as the picture came. */
  width: number;
  height: number;
  /** Of a PDF's page. */
  dpi: number | null;
  /** None: the page is blank. */
  tiles: Tile[];
}

export interface Tile {
  /** PNG, 8 bit, of exactly the size the engine sees (`sizeWithin`). */
  data: Uint8Array;
  /** Rows of the page: the first, and one past the last. */
  top: number;
  bottom: number;
  /** Its first lines may repeat the last of the tile before. */
  overlaps: boolean;
}

/** Pixels of a page, row by row without padding: RGB, or RGBA whose alpha means nothing. */
export interface PagePixels {
  data: Uint8Array;
  width: number;
  height: number;
  channels: 3 | 4;
}

/** Cuts a page into what the engine is shown. */
export async function tilesOf(
  pixels: PagePixels,
  { maxTokens, tileLines }: Pick<PageOptions, 'maxTokens' | 'tileLines'>,
): Promise<Tile[]> {
  const { width, height } = pixels;
  const { grey, coloured } = greyOf(pixels);
  const plan = planTiles({ data: grey, width, height }, { maxTokens, tileLines });
  // Most pages are black on white: a third of the work, and the model sees the same.
  const page = () =>
    coloured
      ? sharp(pixels.data, { raw: { width, height, channels: pixels.channels }, limitInputPixels: false }).removeAlpha()
      : sharp(grey, { raw: { width, height, channels: 1 }, limitInputPixels: false });
  const tiles: Tile[] = [];
  // One after the other: each holds a copy of its part of the page.
  for (const { top, bottom, overlaps } of plan) {
    const size = sizeWithin(width, bottom - top, maxTokens);
    const data = await page()
      .extract({ left: 0, top, width, height: bottom - top })
      .resize(size.width, size.height, { fit: 'fill' })
      .toColourspace(coloured ? 'srgb' : 'b-w')
      .png({ compressionLevel: 1 })
      .toBuffer();
    tiles.push({ data, top, bottom, overlaps });
  }
  return tiles;
}

/** Differences between red, green and blue that nobody sees, and that scanners and JPEG leave in grey. */
const FAINT = 8;

/**
 * Brightness of each pixel (ITU-R BT.601, as in JPEG), and whether there is any colour. By hand: sharp takes four times as
 * long, since it goes by way of floating point.
 */
function greyOf({ data, width, height, channels }: PagePixels): { grey: Uint8Array; coloured: boolean } {
  const grey = new Uint8Array(width * height);
  let widest = 0;
  for (let i = 0, at = 0; i < grey.length; i++, at += channels) {
    const red = data[at] ?? 0;
    const green = data[at + 1] ?? 0;
    const blue = data[at + 2] ?? 0;
    grey[i] = (77 * red + 150 * green + 29 * blue) >> 8;
    const spread = Math.max(red, green, blue) - Math.min(red, green, blue);
    if (spread > widest) widest = spread;
  }
  return { grey, coloured: widest > FAINT };
}
