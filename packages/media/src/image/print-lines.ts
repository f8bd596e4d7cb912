import type { GreyPage } from './tiles.ts';

/** Rows from `top` to `bottom` (exclusive), in pixels of the page. */
export interface Rows {
  top: number;
  bottom: number;
}

export interface PrintLines {
  /**
   * Bands of rows with print, in order, blank rows between them. A band is one line where blank rows part the lines;
   * skewed or crowded print and pictures make bands of many.
   */
  bands: Rows[];
  /** Distance from line to line, in pixels: the median over the page, `null` if no two lines were seen. */
  pitch: number | null;
  /** The page has so little noise that what was not seen as print is none, be it ever so faint. */
  clean: boolean;
}

/** Upright strips the page is read in: within one, a slightly skewed line is still level. */
const STRIPS = 8;

/** Columns looked at: about 4 per millimetre of an A4 page, finer than the strokes of letters. */
const COLUMNS = 800;

/** About as many samples at most: very long pages are looked at in fewer columns. */
const SAMPLES = 4_000_000;

/**
 * Finds the lines of print of a page from its edges: neighbouring samples of a row that differ. Edges are the same on
 * light, dark and coloured paper, and a shaded background, a horizontal rule or a filled box has none. How much is a
 * difference follows from the noise of the page. Specks and upright rules are taken out.
 */
export function printLines(page: GreyPage): PrintLines {
  const stepX = Math.max(1, Math.floor(page.width / COLUMNS), Math.floor((page.width * page.height) / SAMPLES));
  const stepY = Math.max(1, Math.floor(Math.min(page.width, page.height) / 2_000));
  const threshold = edgeThreshold(page, stepX);
  const clean = threshold === FAINTEST;
  const edges = withoutSpecks(findEdges(page, stepX, stepY, threshold));
  const levelPitch = linePitch(stripProfiles(edges));
  // No letter is so tall: it is a rule, the border of a table or the edge of the scan.
  const side = Math.min(page.width, page.height) / stepY;
  const tallest = levelPitch === null ? side / 4 : 3 * levelPitch;
  dropUpright(edges, Math.max(40, Math.round(tallest)), Math.max(3, Math.round((levelPitch ?? 0) / 6)));
  const strips = stripProfiles(edges);
  if (!hasPrint(strips, side)) return { bands: [], pitch: null, clean };
  const bands = mergeFragments(inkBands(total(strips, edges.rows)), levelPitch ?? 0);
  const pitch = levelPitch ?? distance(bands);
  const inPixels = ({ top, bottom }: Rows) => ({
    top: top * stepY,
    bottom: Math.min(page.height, bottom * stepY),
  });
  return { bands: bands.map(inPixels), pitch: pitch === null ? null : pitch * stepY, clean };
}

/** 1 where a sample differs from the one before it. Rows are padded to whole words, most of which are empty. */
interface Edges {
  map: Uint8Array;
  words: Uint32Array;
  columns: number;
  rows: number;
}

function emptyEdges(columns: number, rows: number): Edges {
  // A word of nothing before the first row, after each row and after the last: neighbours need no bounds.
  const padded = Math.ceil((columns + 1) / 4) * 4;
  const map = new Uint8Array(padded * rows);
  return { map, words: new Uint32Array(map.buffer), columns: padded, rows };
}

function findEdges({ data, width, height }: GreyPage, stepX: number, stepY: number, threshold: number): Edges {
  const samples = Math.max(1, Math.ceil(width / stepX));
  const edges = emptyEdges(samples, Math.max(1, Math.ceil(height / stepY)));
  const { map, columns, rows } = edges;
  const squared = Math.round(threshold ** 2);
  for (let row = 0; row < rows; row++) {
    let at = row * stepY * width;
    let before = data[at] ?? 0;
    for (let out = row * columns + 1, end = row * columns + samples; out < end; out++) {
      at += stepX;
      const grey = data[at] ?? 0;
      // The sign bit of threshold² − step²: print would mislead the branch of an `if` half the time.
      map[out] = (squared - (grey - before) * (grey - before)) >>> 31;
      before = grey;
    }
  }
  return edges;
}

/** Of grey levels: fainter print is not seen on any page. */
const FAINTEST = 16;

/**
 * A little over twice what nine of ten neighbours differ by where the page is calm: more than 3 standard deviations of
 * Gaussian noise, also if white is clipped; `withoutSpecks` does the rest. The calm part is the margins and between lines.
 */
function edgeThreshold({ data, width, height }: GreyPage, stepX: number): number {
  const blocks: number[] = [];
  const across = Math.min(64, Math.floor((width - 1) / stepX));
  for (let i = 0; i < 32; i++)
    for (let j = 0; j < 8; j++) {
      const y = Math.floor(((i + 0.5) * height) / 32);
      const x = Math.floor((j * (width - 1 - across * stepX)) / 7);
      const steps = new Uint8Array(across);
      for (let k = 0, at = y * width + x; k < across; k++, at += stepX)
        steps[k] = Math.abs((data[at] ?? 0) - (data[at + stepX] ?? 0));
      blocks.push(steps.sort()[Math.floor(0.9 * across)] ?? 0);
    }
  const calm = blocks.sort((a, b) => a - b)[Math.floor(0.15 * blocks.length)] ?? 0;
  return Math.min(80, Math.max(FAINTEST, 2.2 * calm));
}

/** An edge of print goes on in the row above or below, one sample to the side at most. Dust and noise do not. */
function withoutSpecks({ words, columns, rows }: Edges): Edges {
  const kept = emptyEdges(columns - 1, rows);
  const perRow = columns / 4;
  // Above and below together, the four samples of a word at once.
  const beside = (word: number) => (words[word - perRow] ?? 0) | (words[word + perRow] ?? 0);
  for (let word = 0; word < words.length; word++) {
    const here = words[word] ?? 0;
    if (here === 0) continue;
    const near = beside(word);
    const left = (near << 8) | (beside(word - 1) >>> 24);
    const right = (near >>> 8) | (beside(word + 1) << 24);
    kept.words[word] = here & (near | left | right);
  }
  return kept;
}

/**
 * Takes out upright runs of edges longer than `longest` rows. Level rules cross them: up to `bridged` rows without an
 * edge are no end, but nine in ten rows have one. Letters below each other have blank rows between them.
 */
function dropUpright({ map, columns, rows }: Edges, longest: number, bridged: number): void {
  const follow = (start: number, step: number) => {
    let end = start;
    let edges = 0;
    for (let at = start + step, missing = 0; missing <= bridged && at >= 0 && at < map.length; at += step) {
      if (map[at] === 0) missing++;
      else {
        end = at;
        edges++;
        missing = 0;
      }
    }
    return { end, edges };
  };
  // Each such run crosses two of these rows.
  const apart = Math.ceil(longest / 2);
  for (let row = apart - 1; row < rows; row += apart)
    for (let at = row * columns, next = at + columns; at < next; at++) {
      if (map[at] === 0) continue;
      const up = follow(at, -columns);
      const down = follow(at, columns);
      const length = (down.end - up.end) / columns + 1;
      if (length > longest && up.edges + down.edges + 1 >= 0.9 * length)
        for (let i = up.end; i <= down.end; i += columns) map[i] = 0;
    }
}

/** Edges in each row of each strip. */
function stripProfiles({ words, columns, rows }: Edges): Uint16Array[] {
  const perRow = columns / 4;
  const strips = Array.from({ length: Math.min(STRIPS, perRow) }, () => new Uint16Array(rows));
  strips.forEach((strip, i) => {
    const from = Math.floor((i * perRow) / strips.length);
    const to = Math.floor(((i + 1) * perRow) / strips.length);
    for (let row = 0; row < rows; row++) {
      // Four counters in one number, each below 256 as a strip is at most 255 words wide.
      let four = 0;
      for (let at = row * perRow + from, end = row * perRow + to; at < end; at++) four += words[at] ?? 0;
      strip[row] = (four & 255) + ((four >> 8) & 255) + ((four >> 16) & 255) + ((four >> 24) & 255);
    }
  });
  return strips;
}

/** Median distance from line to line over all strips. Rows with few edges part the lines: ascenders touch descenders. */
function linePitch(strips: readonly Uint16Array[]): number | null {
  const bands: Rows[][] = [];
  for (const strip of strips) {
    let inked = 0;
    let sum = 0;
    for (const n of strip) {
      if (n > 0) inked++;
      sum += n;
    }
    const least = Math.max(1, 0.35 * (sum / Math.max(1, inked)));
    bands.push([...runs(strip, (n) => n >= least)].filter(({ top, bottom }) => bottom - top >= 2));
  }
  // Once more without what the first estimate shows to be parts of one line.
  const first = median(bands.flatMap(steps)) ?? 0;
  return median(bands.flatMap((strip) => steps(mergeFragments(strip, first))));
}

const distance = (bands: readonly Rows[]) => median(steps(bands));

/** From the middle of each band to that of the next. */
const steps = (bands: readonly Rows[]) =>
  bands.slice(1).map(({ top, bottom }, i) => (top + bottom - (bands[i]?.top ?? 0) - (bands[i]?.bottom ?? 0)) / 2);

/** Whether any strip has something as tall as the smallest print, with more than a speck's edges. */
function hasPrint(strips: readonly Uint16Array[], side: number): boolean {
  const tall = Math.max(3, Math.floor(side / 400));
  for (const strip of strips)
    for (const { top, bottom } of runs(strip, (n) => n > 0)) {
      let sum = 0;
      for (let row = top; row < bottom; row++) sum += strip[row] ?? 0;
      if (bottom - top >= tall && sum >= 2 * tall) return true;
    }
  return false;
}

/**
 * Rows with more edges than the page has everywhere (a texture, borders that are not straight). Never more than a
 * trace of what lines have: a row with one letter of a line is not blank.
 */
function inkBands(profile: Uint32Array): Rows[] {
  const sorted = profile.slice().sort();
  const at = (part: number) => sorted[Math.floor(part * (sorted.length - 1))] ?? 0;
  const floor = Math.min(at(0.1), 0.04 * at(0.9));
  return [...runs(profile, (n) => n > floor)];
}

/** Joins what parts of one line make apart: the dots on an i, accents. Of two such neighbours one is far lower. */
function mergeFragments(bands: readonly Rows[], pitch: number): Rows[] {
  const merged: Rows[] = [];
  for (const band of bands) {
    const last = merged.at(-1);
    const heights = last === undefined ? [0, 0] : [last.bottom - last.top, band.bottom - band.top];
    const oneLine =
      last !== undefined &&
      band.top - last.bottom < 0.25 * pitch &&
      band.bottom - last.top <= 1.1 * pitch &&
      Math.min(...heights) <= 0.4 * Math.max(...heights);
    if (oneLine) last.bottom = band.bottom;
    else merged.push({ ...band });
  }
  return merged;
}

function total(strips: readonly Uint16Array[], rows: number): Uint32Array {
  const sum = new Uint32Array(rows);
  for (const strip of strips) for (let row = 0; row < rows; row++) sum[row] = (sum[row] ?? 0) + (strip[row] ?? 0);
  return sum;
}

function* runs(profile: Uint16Array | Uint32Array, inRun: (value: number) => boolean): Generator<Rows> {
  let top = -1;
  for (let row = 0; row <= profile.length; row++) {
    const value = profile[row];
    if (value !== undefined && inRun(value)) {
      if (top < 0) top = row;
    } else if (top >= 0) {
      yield { top, bottom: row };
      top = -1;
    }
  }
}

function median(values: number[]): number | null {
  values.sort((a, b) => a - b);
  return values[Math.floor((values.length - 1) / 2)] ?? null;
}
