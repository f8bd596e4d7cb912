import type { Span } from '../port.ts';
import { foldCharacter, leetLetter } from './fold.ts';
import type { Match, Matcher } from './matcher.ts';

/** A row of characters between spaces, with two or more that are letters or may stand for some. */
export interface Row extends Span {
  /** Of its letters, and of those with each once in a row. */
  hash: number;
  onceHash: number;
  /** It has more in it than letters and marks around them: its hashes say nothing. */
  odd: boolean;
  hasLetters: boolean;
}

/** A row of one letter, perhaps with marks. */
export interface Single extends Span {
  letter: string;
  /** The letter of its own script. */
  own: string;
}

/** By the hash of a word, cut to 17 bits: whether there is one, as it is (`PLAIN`) or with each letter once in a row (`ONCE`). */
export type Seen = Uint8Array;
export const PLAIN = 1;
export const ONCE = 2;
export const noneSeen = (): Seen => new Uint8Array(0x2_0000);
export const placeOf = (hash: number) => (hash ^ (hash >>> 15)) & 0x1_ffff;

export function mayBe(seen: Seen, hash: number, onceHash: number): boolean {
  if (((seen[placeOf(hash)] ?? 0) & PLAIN) !== 0) return true;
  return onceHash !== hash && ((seen[placeOf(onceHash)] ?? 0) & ONCE) !== 0;
}

/** What a unit is: an ASCII letter (its small form), or one of these. */
const OTHER = 0;
const SPACE = 1;
/** A plain mark that ends a word. */
const MARK = 2;
/** Beyond ASCII: a letter, or what looks like one, or is not seen. */
const WIDE = 3;
/** What stands between words, and for no letter. */
const SEPARATOR = 4;
const KIND = new Uint8Array(0x1_0000).fill(OTHER, 0, 128).fill(WIDE, 128);
for (let c = 97; c <= 122; c++) KIND[c] = KIND[c - 32] = c;
for (const c of ' \n\r\t\f\v\u00a0\u3000\u2003') KIND[c.charCodeAt(0)] = SPACE;
for (const c of '.,;:?"\')]}') KIND[c.charCodeAt(0)] = MARK;
for (const c of '-/_=&#<>[{') KIND[c.charCodeAt(0)] = SEPARATOR;

const SEED = 7;
const step = (hash: number, letter: number) => (Math.imul(hash, 31) + letter) | 0;

export function hashOf(word: string): number {
  let hash = SEED;
  for (let i = 0; i < word.length; i++) hash = step(hash, word.charCodeAt(i));
  return hash;
}

/** Of the ASCII letters of a row, each once where it stands several times in a row. */
function onceHashOf(text: string, start: number, end: number): number {
  let hash = SEED;
  let before = 0;
  for (let i = start; i < end; i++) {
    const letter = KIND[text.charCodeAt(i)] ?? OTHER;
    if (letter <= SEPARATOR) continue;
    if (letter !== before) hash = step(hash, letter);
    before = letter;
  }
  return hash;
}

/** Whether one of the words that marks and separators join may be one of a list: `so-called`, `country's`. */
function partsMayBe(seen: Seen, units: Uint16Array, start: number, end: number): boolean {
  let hash = SEED;
  let onceHash = SEED;
  let before = 0;
  for (let i = start; i <= end; i++) {
    const kind = i === end ? OTHER : (KIND[units[i] ?? 0] ?? OTHER);
    if (kind > SEPARATOR) {
      hash = step(hash, kind);
      if (kind !== before) onceHash = step(onceHash, kind);
      before = kind;
    } else {
      if (hash !== SEED && mayBe(seen, hash, onceHash)) return true;
      hash = onceHash = SEED;
      before = 0;
    }
  }
  return false;
}

/**
 * Every place of every word of each matcher, from left to right, of one matcher none overlapping. One pass over the text, a look-up in
 * a table for each character; plain words, which are nearly all, are only hashed.
 * @param seen of all the matchers together
 */
export function findAll(text: string, matchers: readonly Matcher[], seen: Seen): Match[][] {
  const found = matchers.map((): Match[] => []);
  let singles: Single[] = [];
  const { length } = text;
  const units = unitsOf(text);
  const endSingles = () => {
    for (const [i, matcher] of matchers.entries()) found[i]?.push(...matcher.inSingles(singles));
    singles = [];
  };
  for (let at = 0; at < length; at++) {
    const start = at;
    let hash = SEED;
    let marks = 0;
    let others = 0;
    let before = 0;
    let doubled = false;
    let odd = false;
    let joined = false;
    // Nearly all of the time goes by in here.
    for (;;) {
      let kind = KIND[units[at] ?? 0] ?? OTHER;
      while (kind > SEPARATOR) {
        hash = (Math.imul(hash, 31) + kind) | 0;
        if (kind === before) doubled = true;
        before = kind;
        kind = KIND[units[++at] ?? 0] ?? OTHER;
      }
      if (kind === SPACE) break;
      if (kind === MARK) {
        marks++;
        // A mark inside a word: `don't`, `f.u.c.k`.
        const next = KIND[units[at + 1] ?? 0] ?? OTHER;
        if (next !== SPACE && next !== MARK && at + 1 - start > marks) joined = true;
      } else if (kind === SEPARATOR) {
        joined = true;
        others++;
      } else {
        odd = true;
        if (kind === OTHER) others++;
      }
      at++;
    }
    const letters = at - start - marks;
    if (letters === 0) {
      if (at > start && singles.length > 0) endSingles();
    } else if (letters === 1 || letters - bangsBefore(units, start, at) === 1) {
      const letter = singleLetter(text, start, at, true);
      if (letter !== '') singles.push({ start, end: at, letter, own: singleLetter(text, start, at, false) });
    } else {
      if (singles.length > 0) endSingles();
      const onceHash = doubled ? onceHashOf(text, start, at) : hash;
      if (!odd && !mayBe(seen, hash, onceHash) && !(joined && partsMayBe(seen, units, start, at))) continue;
      const row = { start, end: at, hash, onceHash, odd: odd || joined, hasLetters: letters > others };
      for (const [i, matcher] of matchers.entries()) found[i]?.push(...matcher.inRow(text, row));
    }
  }
  endSingles();
  return found.map(apart);
}

/** How many `!` end a row: after its last letter they stand for no other. */
function bangsBefore(units: Uint16Array, start: number, end: number): number {
  let at = end;
  while (at > start + 1 && units[at - 1] === 0x21) at--;
  return end - at;
}

/** For texts of usual length: one look is over before the next begins. */
const SCRATCH = new Uint16Array(0x1_0001);

/** The units of a text and a space: to read them from here is faster than from the string. */
function unitsOf(text: string): Uint16Array {
  const units = text.length < SCRATCH.length ? SCRATCH : new Uint16Array(text.length + 1);
  Buffer.from(units.buffer).write(text, 'utf16le');
  units[text.length] = 0x20;
  return units;
}

function singleLetter(text: string, start: number, end: number, latin: boolean): string {
  for (const character of text.slice(start, Math.min(end, start + 8))) {
    const letter = foldCharacter(character, latin) || leetLetter(character);
    if (letter) return letter.length === 1 ? letter : '';
  }
  return '';
}

function apart(matches: Match[]): Match[] {
  const kept: Match[] = [];
  for (const match of matches.sort((a, b) => a.start - b.start || b.end - a.end))
    if (match.start >= (kept.at(-1)?.end ?? 0)) kept.push(match);
  return kept;
}
