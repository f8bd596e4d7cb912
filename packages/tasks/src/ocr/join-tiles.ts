export interface TileText {
  text: string;
  /** The first lines may repeat the last of the tile before. */
  overlaps: boolean;
}

/**
 * The text of a page from the texts of its tiles, top to bottom. Where a tile overlaps the one before, the lines both
 * have are there once, also if they were read a little differently or the tile's edge went through the line beyond; so
 * are words where a model makes one line of a paragraph. If nothing matches, both texts stay whole: rather twice than
 * never. Where tiles do not overlap nothing is taken out, equal or not.
 */
export function joinTiles(texts: readonly TileText[]): string {
  let page = '';
  for (const { text, overlaps } of texts) {
    if (text.trim() === '') continue;
    if (page === '') page = text;
    else page = (overlaps ? (joinLines(page, text) ?? joinWords(page, text)) : null) ?? join(page, text);
  }
  return page;
}

/** Tiles overlap by about two lines of print; more than this are never in common, however they are set. */
const LINES = 6;

interface Line {
  text: string;
  start: number;
  end: number;
}

/** Joined at lines that both have, or `null` if there are none. */
function joinLines(page: string, next: string): string | null {
  const above = linesOf(page).slice(-LINES);
  const below = linesOf(next).slice(0, LINES);
  // Lines of a list are often alike, so the place where they differ least, not that where most are alike.
  let best: { difference: number; above: number; below: number } | null = null;
  for (let same = Math.min(above.length, below.length); same > 0; same--)
    // The edge may have cut a line in half: the last above, the first below. Each is whole in the other tile.
    for (const [cutAbove, cutBelow] of CUTS) {
      const lastAbove = above.length - 1 - cutAbove;
      const firstAbove = lastAbove - same + 1;
      const lastBelow = cutBelow + same - 1;
      if (firstAbove < 0 || lastBelow >= below.length) continue;
      // A line is left out only if the other tile goes on where it stands.
      if ((cutAbove === 1 && lastBelow === below.length - 1) || (cutBelow === 1 && firstAbove === 0)) continue;
      let difference = 0;
      for (let i = 0; i < same; i++)
        difference += differenceOf(above[firstAbove + i]?.text ?? '', below[cutBelow + i]?.text ?? '') / same;
      if (difference < (best?.difference ?? Number.POSITIVE_INFINITY))
        best = { difference, above: lastAbove, below: lastBelow };
    }
  if (best === null) return null;
  return page.slice(0, above[best.above]?.end) + next.slice(below[best.below]?.end);
}

const CUTS = [
  [0, 0],
  [1, 0],
  [0, 1],
  [1, 1],
] as const;

function linesOf(text: string): Line[] {
  const lines: Line[] = [];
  for (const match of text.matchAll(/[^\n]+/g))
    if (match[0].trim() !== '')
      lines.push({
        text: match[0].trim().replaceAll(/\s+/g, ' '),
        start: match.index,
        end: match.index + match[0].length,
      });
  return lines;
}

/** Longer than a line of print: a paragraph, which is joined by its words. */
const LONG_LINE = 400;

/** Edits per character of two lines, or infinity for lines that are not the same print: more than one in five. */
function differenceOf(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.max(a.length, b.length);
  const most = Math.floor(length / 5);
  if (length > LONG_LINE || Math.abs(a.length - b.length) > most) return Number.POSITIVE_INFINITY;
  const edits = editDistance(a, b, most);
  return edits > most ? Number.POSITIVE_INFINITY : edits / length;
}

/** Levenshtein's, or more than `most` if it is more. Only the diagonals that can stay within it are computed. */
function editDistance(a: string, b: string, most: number): number {
  let before = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = new Array<number>(b.length + 1).fill(most + 1);
    if (i <= most) row[0] = i;
    let least = most + 1;
    for (let j = Math.max(1, i - most); j <= Math.min(b.length, i + most); j++) {
      const replaced = (before[j - 1] ?? most + 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const cost = Math.min(replaced, (before[j] ?? most + 1) + 1, (row[j - 1] ?? most + 1) + 1);
      row[j] = cost;
      if (cost < least) least = cost;
    }
    if (least > most) return most + 1;
    before = row;
  }
  return before[b.length] ?? most + 1;
}

/** Two lines of small print have about so many words. */
const WORDS = 60;

/** So many words the cut may have left of a line: the last above, the first below. */
const CUT_WORDS = 20;

/** So many equal words in a row are the same print. */
const EQUAL_WORDS = 4;

/** Joined in the middle of a paragraph, at the longest run of words that both have, or `null`. */
function joinWords(page: string, next: string): string | null {
  const above = wordsOf(page.slice(-LONG_TEXT));
  const below = wordsOf(next.slice(0, LONG_TEXT)).slice(0, WORDS);
  const first = Math.max(0, above.length - WORDS);
  let best = { length: 0, above: 0, below: 0 };
  let before = new Array<number>(below.length + 1).fill(0);
  for (let i = first; i < above.length; i++) {
    const row = new Array<number>(below.length + 1).fill(0);
    for (let j = 0; j < below.length; j++) {
      if (above[i]?.text !== below[j]?.text) continue;
      const length = (before[j] ?? 0) + 1;
      row[j + 1] = length;
      const left = above.length - 1 - i <= CUT_WORDS && j + 1 - length <= CUT_WORDS;
      if (left && length > best.length) best = { length, above: i, below: j };
    }
    before = row;
  }
  if (best.length < EQUAL_WORDS) return null;
  const end = Math.max(0, page.length - LONG_TEXT) + (above[best.above]?.end ?? 0);
  return page.slice(0, end) + next.slice(below[best.below]?.end);
}

/** Characters with more words than are looked at. */
const LONG_TEXT = 4_000;

/** Words as they are compared: punctuation and case are misread first. */
const wordsOf = (text: string) =>
  [...text.matchAll(/[\p{L}\p{M}\p{N}]+/gu)].map((match) => ({
    text: match[0].toLowerCase(),
    end: match.index + match[0].length,
  }));

/**
 * One text after the other. The cut lay between two lines of print, maybe of one paragraph, so one line break; blocks
 * of Markdown that would run into each other get a blank line. A table that goes on in the next tile stays one.
 */
function join(page: string, next: string): string {
  const above = page.trimEnd();
  const below = next.replace(/^\s*\n/, '');
  const last = above.slice(above.lastIndexOf('\n') + 1);
  const [first = '', second = ''] = below.split('\n', 2);
  if (isRow(last) && isRow(first)) {
    // The model took the first row of this tile for a header.
    const headed = isDelimiter(second) && cellsOf(second) === cellsOf(last) && !isDelimiter(last);
    return `${above}\n${headed ? below.replace(`\n${second}`, '') : below}`;
  }
  return isBlock(last) || isBlock(first) ? `${above}\n\n${below}` : `${above}\n${below}`;
}

const isRow = (line: string) => /^\s*\|.*\|\s*$/.test(line);
const isDelimiter = (line: string) => /^\s*\|(\s*:?-+:?\s*\|)+\s*$/.test(line);
const cellsOf = (line: string) => line.trim().split('|').length;
/** Headings, rules, fences, tables, HTML, formulas, quotations. */
const isBlock = (line: string) => /^\s*(#{1,6}\s|\||<|>|```|~~~|\$\$|-{3,}\s*$|={3,}\s*$|\*{3,}\s*$)/.test(line);
