/** How texts are cut and joined, whatever script they are in. */

/** A piece of a text that no line breaks into two. */
export interface Word {
  text: string;
  /** A space comes before it, unless a line begins with it. */
  space: boolean;
}

const GRAPHEMES = new Intl.Segmenter('en', { granularity: 'grapheme' });
const WORDS = new Intl.Segmenter('en', { granularity: 'word' });
const SENTENCES = new Intl.Segmenter('en', { granularity: 'sentence' });

/** Scripts that put no spaces between words. */
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\u3000-\u303f\uff00-\uff65]/u;
/** Characters that take the room of two. */
const WIDE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\u3000-\u303f\uff00-\uff60]/u;

/** A text on one line without anything that is not to be seen: white space is single spaces. */
export function oneLine(text: string): string {
  return text
    .toWellFormed()
    .replace(/\s+/g, ' ')
    .replace(/\p{Cc}/gu, '')
    .replace(/ +/g, ' ')
    .trim();
}

/** Width on a screen, in columns of a letter each; roughly. */
export function widthOf(text: string): number {
  let width = 0;
  for (const { segment } of GRAPHEMES.segment(text)) width += WIDE.test(segment) ? 2 : 1;
  return width;
}

/** Two texts after each other, with a space between them where their scripts have one. */
export function joinTexts(before: string, after: string): string {
  if (before === '' || after === '') return before + after;
  const last = before.at(-1) ?? '';
  const first = after.at(0) ?? '';
  return `${before}${UNSPACED.test(last) && UNSPACED.test(first) ? '' : ' '}${after}`;
}

/** The sentences of a text of one line, each without spaces around it. */
export function sentencesOf(text: string): string[] {
  return Array.from(SENTENCES.segment(text), ({ segment }) => segment.trim()).filter((sentence) => sentence !== '');
}

/** The words of a text of one line, each at most `maxWidth` wide. `joinWords` puts them together again. */
export function wordsOf(text: string, maxWidth: number): Word[] {
  return text
    .split(' ')
    .filter((part) => part !== '')
    .flatMap((part) =>
      (UNSPACED.test(part) ? unspacedWords(part) : [part])
        .flatMap((word) => (widthOf(word) <= maxWidth ? [word] : cut(word, maxWidth)))
        .map((word, i) => ({ text: word, space: i === 0 })),
    );
}

/** Words as the text of one line. */
export function joinWords(words: readonly Word[]): string {
  return words.map(({ text, space }, i) => (space && i > 0 ? ` ${text}` : text)).join('');
}

/** Punctuation stays with what it follows. */
function unspacedWords(text: string): string[] {
  const words: string[] = [];
  for (const { segment, isWordLike } of WORDS.segment(text)) {
    if (isWordLike === true || words.length === 0) words.push(segment);
    else words.push(`${words.pop() ?? ''}${segment}`);
  }
  return words;
}

function cut(word: string, maxWidth: number): string[] {
  const pieces: string[] = [];
  let piece = '';
  for (const { segment } of GRAPHEMES.segment(word)) {
    if (piece !== '' && widthOf(piece + segment) > maxWidth) {
      pieces.push(piece);
      piece = '';
    }
    piece += segment;
  }
  return [...pieces, piece];
}
