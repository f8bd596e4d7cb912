/**
 * A text as a reader sees it, with the way back to where each letter came from. Digits of all scripts and full-width
 * letters become plain ones, compatibility forms are undone (NFKC, letter by letter), dashes and spaces are one dash and
 * one space, what is invisible is gone, and `\u0040`, as JSON writes what it likes, is `@`.
 */
export interface Readable {
  text: string;
  /** Where the letter at this index of `text` begins and ends in the original. */
  start(index: number): number;
  end(index: number): number;
}

/** What is not read as it is: letters beyond ASCII, and escapes of JSON. */
const ODD = /[\ud800-\udbff][\udc00-\udfff]|[\x80-\uffff]|\\u[0-9a-fA-F]{4}/g;

/** A row of letters read as they are, or one odd letter: where it is among what is read, and where in the original. */
interface Piece {
  index: number;
  length: number;
  start: number;
  end: number;
  odd: boolean;
}

export function readable(original: string): Readable {
  const pieces: Piece[] = [];
  const parts: string[] = [];
  let index = 0;
  let at = 0;
  const add = (seen: string, start: number, end: number, odd: boolean) => {
    parts.push(seen);
    pieces.push({ index, length: seen.length, start, end, odd });
    index += seen.length;
    at = end;
  };
  for (const match of original.matchAll(ODD)) {
    const [letter] = match;
    if (match.index > at) add(original.slice(at, match.index), at, match.index, false);
    const code = letter.startsWith('\\') ? Number.parseInt(letter.slice(2), 16) : (letter.codePointAt(0) ?? 0);
    add(code < 0x80 ? String.fromCharCode(code) : lookOf(code), match.index, match.index + letter.length, true);
  }
  if (pieces.length === 0) return { text: original, start: (i) => i, end: (i) => i + 1 };
  if (at < original.length) add(original.slice(at), at, original.length, false);

  /** The piece that the letter at an index is in. */
  const pieceAt = (i: number): number => {
    let [low, high] = [0, pieces.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((pieces[middle]?.index ?? 0) <= i) low = middle;
      else high = middle - 1;
    }
    // Of several that begin there, all but the last are invisible.
    return low;
  };
  return {
    text: parts.join(''),
    start: (i) => {
      const piece = pieces[pieceAt(i)];
      if (piece === undefined || i >= piece.index + piece.length) return original.length;
      return piece.odd ? piece.start : piece.start + i - piece.index;
    },
    end: (i) => {
      let n = pieceAt(i);
      const piece = pieces[n];
      if (piece === undefined || i >= piece.index + piece.length) return original.length;
      let end = piece.odd ? piece.end : piece.start + i - piece.index + 1;
      // What is invisible belongs to the letter before it.
      if (i === piece.index + piece.length - 1) for (n++; pieces[n]?.length === 0; n++) end = pieces[n]?.end ?? end;
      return end;
    },
  };
}

/** What letters look like, remembered: texts use few different ones. Emptied when somebody uses them all. */
const looks = new Map<number, string>();
const MAX_LOOKS = 20_000;

function lookOf(code: number): string {
  let look = looks.get(code);
  if (look === undefined) {
    look = computeLook(code);
    if (looks.size >= MAX_LOOKS) looks.clear();
    looks.set(code, look);
  }
  return look;
}

function computeLook(code: number): string {
  // Half of a pair, alone: no letter, but it keeps its place.
  if (code >= 0xd800 && code <= 0xdfff) return '\ufffd';
  const letter = String.fromCodePoint(code);
  if (/^[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Mn}\p{Me}]$/u.test(letter)) return '';
  if (/^[\p{Pd}\u2212]$/u.test(letter)) return '-';
  if (/^\p{Zs}$/u.test(letter)) return ' ';
  if (letter === '\u3002' || letter === '\uff61') return '.';
  const plain = letter.normalize('NFKC');
  return plain.replace(/\p{Nd}/gu, (digit) => String(digitValue(digit.codePointAt(0) ?? 0)));
}

/** Unicode keeps the ten digits of a script together, in order, and every such ten starts at its zero. */
function digitValue(code: number): number {
  if (code < 0x80) return code - 0x30;
  let zero = code;
  while (code - zero < 9 && /\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero--;
  return code - zero;
}
