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
  /** Most pixels of a page. Default 40 million: A4 at 600 dpi has 35. */
  maxPixels?: number;
}

export const MAX_PAGE_PIXELS = 40_000_000;

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
  const { width, height, channels } = pixels;
  const page = () => sharp(pixels.data, { raw: { width, height, channels }, limitInputPixels: false }).removeAlpha();
  const grey = await page().greyscale().raw().toBuffer();
  const plan = planTiles({ data: grey, width, height }, { maxTokens, tileLines });
  const tiles: Tile[] = [];
  // One after the other: each holds a copy of its part of the page.
  for (const { top, bottom, overlaps } of plan) {
    const size = sizeWithin(width, bottom - top, maxTokens);
    const data = await page()
      .extract({ left: 0, top, width, height: bottom - top })
      .resize(size.width, size.height, { fit: 'fill' })
      .png({ compressionLevel: 1 })
      .toBuffer();
    tiles.push({ data, top, bottom, overlaps });
  }
  return tiles;
}
