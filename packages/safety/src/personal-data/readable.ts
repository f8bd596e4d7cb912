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

/** Only ASCII, and no `\u` escape: read as it is. Control characters are ASCII too. */
const PLAIN = /^(?:[^\\\x80-\uffff]|\\(?!u))*$/;

export function readable(original: string): Readable {
  if (PLAIN.test(original)) return { text: original, start: (i) => i, end: (i) => i + 1 };
  const parts: string[] = [];
  const starts: number[] = [];
  const ends: number[] = [];
  for (let at = 0; at < original.length; ) {
    const [code, length] = codeAt(original, at);
    const seen = code < 0x80 ? String.fromCharCode(code) : lookOf(code);
    for (let i = 0; i < seen.length; i++) {
      starts.push(at);
      ends.push(at + length);
    }
    parts.push(seen);
    // What is invisible belongs to the letter before it.
    if (seen === '' && ends.length > 0) ends[ends.length - 1] = at + length;
    at += length;
  }
  return { text: parts.join(''), start: (i) => starts[i] ?? original.length, end: (i) => ends[i] ?? original.length };
}

/** The code point at a position and its length in the text, a `\uXXXX` escape counting as what it stands for. */
function codeAt(text: string, at: number): [code: number, length: number] {
  const code = text.codePointAt(at) ?? 0;
  if (code === 0x5c && text[at + 1] === 'u') {
    const hex = text.slice(at + 2, at + 6);
    if (/^[0-9a-fA-F]{4}$/.test(hex)) return [Number.parseInt(hex, 16), 6];
  }
  return [code, code > 0xffff ? 2 : 1];
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
