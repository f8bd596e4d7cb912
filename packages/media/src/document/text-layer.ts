/** What a PDF says is written on a page. */
export interface TextLayer {
  /** Line by line, as the file has it. */
  text: string;
  /** Whether it can stand for reading the page. */
  good: boolean;
}

/** Shares of a page that pictures may cover before its text counts as what some scanner has read. */
const SCANNED = 0.5;
/** Less text than this on a page that shows other things too is a stamp or a page number. */
const LITTLE = 24;
/** Most characters in a hundred that may be none: fonts without a way back to letters give such text. */
const STRANGE = 3;

/**
 * Judges the text of a page. It is good if it is all that the page shows, and letters: not a stamp on a scan, not a scanner's
 * own reading behind a picture of the page (which is what we are asked to do better), not the codes of a font that does
 * not say which letters they are.
 */
export function judgeTextLayer(raw: string, content: { pictures: number; objects: number }): TextLayer {
  const text = tidy(raw);
  const letters = text.replace(/\s/gu, '');
  const strange = letters.replace(/[^\p{Co}\p{Cn}\p{Cc}\u{FFFD}]/gu, '').length;
  const good =
    letters.length > 0 &&
    content.pictures < SCANNED &&
    (letters.length >= LITTLE || content.objects <= letters.length) &&
    strange * 100 <= letters.length * STRANGE;
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
