import type { PageContent } from './page-content.ts';

/** What a PDF says is written on a page. */
export interface TextLayer {
  /** Line by line, as the file has it. */
  text: string;
  /** Whether it can stand for reading the page. */
  good: boolean;
}

/** Share of a page that pictures may cover before its text counts as what some scanner has read. */
const SCANNED = 0.5;
/** Less text than this on a page that shows other things too is a stamp or a page number. */
const LITTLE = 24;
/** Most strokes for each letter: where there are more, what is to be read is drawn, not written. */
const DRAWN = 3;
/** Most characters in a hundred that may be none: fonts without a way back to letters give such text. */
const STRANGE = 3;
/** Share of the text that may lie outside of the page. */
const OUTSIDE = 0.1;

/**
 * Judges the text of a page. It is good if it is all that the page shows, and letters: not a stamp on a scan or on letters
 * drawn as shapes, not a scanner's own reading behind a picture of the page (which is what we are asked to do better), not
 * the codes of a font that does not say which letters they are, not what nobody sees since it lies outside of the page.
 */
export function judgeTextLayer(page: PageContent & { text: string; outside: number }): TextLayer {
  const text = tidy(page.text);
  const letters = text.replace(/\s/gu, '');
  const strange = letters.replace(/[^\p{Co}\p{Cn}\p{Cc}\u{FFFD}]/gu, '').length;
  const good =
    letters.length > 0 &&
    page.pictures < SCANNED &&
    page.strokes <= DRAWN * letters.length &&
    (letters.length >= LITTLE || page.objects <= letters.length) &&
    strange * 100 <= letters.length * STRANGE &&
    page.outside <= OUTSIDE;
  return { text, good };
}

/** Ends of lines as everywhere else, no spaces before them, at most one empty line, soft hyphens and NULs gone. */
function tidy(raw: string): string {
  return raw
    .replace(/\r\n?|\u2028|\u2029/g, '\n')
    .replaceAll('\0', '')
    .replace(/[\u00ad\ufffe]/g, '')
    .replace(/[^\S\n]+$/gm, '')
    .replace(/\n{3,}/g, '\n\n')
    .trim();
}
