import { sizeWithin } from './budget.ts';
import { type PrintLines, printLines, type Rows } from './print-lines.ts';

/** Rows `top` (first) to `bottom` (one past the last) of a page, in its pixels. */
export interface PlannedTile {
  top: number;
  bottom: number;
  /** The tile begins above the end of the one before, as there was no blank row to cut in: lines may be read twice. */
  overlaps: boolean;
}

export interface TileOptions {
  /** Most tokens one picture may cost (`sizeWithin`). */
  maxTokens: number;
  /** Most lines of print in one picture; `null`: as many as there are. */
  tileLines: number | null;
  /** Smallest distance from line to line that the model still reads, in pixels of the picture it gets. Default 14. */
  linePixels?: number;
}

/** 8-bit grey, row by row, no padding. */
export interface GreyPage {
  data: Uint8Array;
  width: number;
  height: number;
}

/** A page is never cut into more; the bounds give way. */
const MOST_TILES = 40;

/** What one tile may hold: pixels of height and lines of print. */
interface Bounds {
  height: number;
  lines: number;
}

/**
 * Whether a page is read whole or in tiles, and where it is cut. No tile: the page is blank. One tile: the page as it
 * is. More: a picture of the whole page within the budget of tokens would show its print too small (`linePixels`), is
 * drawn out too long, or has more lines than `tileLines`.
 *
 * Cuts lie in blank rows between lines; where there are none (skew, columns with lines at different heights, pictures)
 * the next tile begins about two lines above the end of the last (`overlaps`). Tiles come from top to bottom, and every
 * row with print is in one. On a clean page blank rows far from print are left out.
 */
export function planTiles(grey: GreyPage, options: TileOptions): PlannedTile[] {
  const whole = [{ top: 0, bottom: grey.height, overlaps: false }];
  const print = printLines(grey);
  if (print.bands.length === 0) return [];
  const bounds = tileBounds(grey, print, options);
  const lines = print.bands.flatMap((band) => linesOf(band, print.pitch));
  if (grey.height <= bounds.height && lines.length <= bounds.lines) return whole;
  for (;;) {
    const tiles = cut(grey.height, print, lines, bounds);
    if (tiles.length <= MOST_TILES) return tiles;
    bounds.height *= 1.2;
    bounds.lines = Math.ceil(bounds.lines * 1.2);
  }
}

function tileBounds(grey: GreyPage, { pitch }: PrintLines, options: TileOptions): Bounds {
  const { width, height } = grey;
  const lines = options.tileLines ?? Number.POSITIVE_INFINITY;
  const size = sizeWithin(width, height, options.maxTokens);
  // Both sides are rounded to whole tokens, one a little more than the other: the mean of the two.
  const scale = Math.sqrt((size.width * size.height) / (width * height));
  if (pitch === null) {
    // Nothing says how large the print is, so the shape of the page has to.
    const drawnOut = height > 3 * width && scale < 0.5;
    return { height: drawnOut ? Math.ceil(1.5 * width) : height, lines };
  }
  // Enlarging what was scanned too small helps nobody.
  const wanted = Math.min(1, (options.linePixels ?? 14) / pitch);
  if (scale >= wanted) return { height, lines };
  const fitting = Math.floor(height * (scale / wanted) ** 2);
  return { height: Math.max(Math.ceil(4 * pitch), fitting), lines };
}

/** The lines of a band; where no blank rows part them, as many as fit, evenly. */
function linesOf(band: Rows, pitch: number | null): Rows[] {
  const height = band.bottom - band.top;
  // From the top of the first to the bottom of the last, print takes about 0.7 of the last pitch.
  const count = pitch === null ? 1 : Math.max(1, Math.round(height / pitch - 0.7) + 1);
  return Array.from({ length: count }, (_, i) => ({
    top: band.top + Math.round((i * height) / count),
    bottom: band.top + Math.round(((i + 1) * height) / count),
  }));
}

function cut(height: number, print: PrintLines, lines: readonly Rows[], bounds: Bounds): PlannedTile[] {
  const tiles: PlannedTile[] = [];
  const pitch = print.pitch ?? bounds.height / 20;
  const gaps = print.bands.slice(1).map(({ top }, i) => ({ top: print.bands[i]?.bottom ?? 0, bottom: top }));
  const margin = print.clean ? Math.ceil(1.5 * pitch) : height;
  let top = 0;
  // Lines before this one end above `top`.
  let first = 0;
  while (first < lines.length) {
    const start = Math.max(top, (lines[first]?.top ?? 0) - margin);
    const end = bottomOf(start, first);
    const after = lines.findIndex((line, i) => i >= first && middle(line) >= end.bottom);
    const inside = after < 0 ? lines.length : after;
    const lastRow = Math.max(...lines.slice(first, inside).map((line) => line.bottom), 0);
    const bottom = end.clean ? Math.min(end.bottom, lastRow + margin) : end.bottom;
    tiles.push({ top: start, bottom, overlaps: start < (tiles.at(-1)?.bottom ?? 0) });
    if (end.bottom >= height) break;
    top = end.clean ? end.bottom : end.bottom - Math.floor(Math.min(2 * pitch, (end.bottom - start) / 2));
    const next = lines.findIndex((line) => line.bottom > top);
    first = next < 0 ? lines.length : next;
  }
  return tiles;

  /** Where the tile that begins at `start`, with line `first`, ends. */
  function bottomOf(start: number, first: number): { bottom: number; clean: boolean } {
    const lastRow = lines.at(-1)?.bottom ?? height;
    const end = print.clean ? Math.min(height, lastRow + margin) : height;
    const parts = Math.max((end - start) / bounds.height, (lines.length - first) / bounds.lines);
    if (parts <= 1) return { bottom: height, clean: true };
    const latest = Math.min(Math.floor(start + bounds.height), lines[first + bounds.lines]?.top ?? height);
    // The tiles that remain share what remains evenly: no last tile of one line.
    const shared = Math.ceil(parts);
    const byLines = lines[first + Math.ceil((lines.length - first) / shared)]?.top ?? height;
    const ideal = Math.min(
      latest,
      bounds.lines === Number.POSITIVE_INFINITY ? start + (end - start) / shared : byLines,
    );
    let best: { bottom: number; score: number } | null = null;
    for (const gap of gaps) {
      if (gap.top < (lines[first]?.bottom ?? 0) || gap.top > latest) continue;
      const bottom = Math.min(latest, Math.round(middle(gap)));
      // Between paragraphs rather than inside one, if it is not far away.
      const wide = Math.min(2, (gap.bottom - gap.top) / pitch);
      const score = 0.15 * wide - Math.abs(bottom - ideal) / Math.max(1, ideal - start);
      if (best === null || score > best.score) best = { bottom, score };
    }
    // A far shorter tile than could be is no bargain: then lines are rather read twice.
    if (best !== null && best.bottom - start >= 0.25 * (latest - start)) return { bottom: best.bottom, clean: true };
    return { bottom: Math.min(latest, Math.ceil(ideal + 2 * pitch)), clean: false };
  }
}

const middle = (rows: Rows) => (rows.top + rows.bottom) / 2;
