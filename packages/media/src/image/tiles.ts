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

export function planTiles(grey: GreyPage, _options: TileOptions): PlannedTile[] {
  return [{ top: 0, bottom: grey.height, overlaps: false }];
}
