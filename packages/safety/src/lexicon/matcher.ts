import type { Span } from '../port.ts';
import { foldCharacter, foldWord, leetLetter, once } from './fold.ts';
import { findAll, hashOf, mayBe, noneSeen, ONCE, PLAIN, placeOf, type Row, type Seen, type Single } from './rows.ts';

/** A word was found: which, and where. */
export interface Match extends Span {
  word: string;
}

/** Words of one letter less than this are not looked for in rows of single letters: `a s s` is too often a list. */
const SPACED_LEAST = 3;
const LONGEST_CHUNK = 64;
/** `a*b` is a product. */
const STARRED_LEAST = 4;

/**
 * Finds words in texts, also in disguise: other digits and signs for letters (`sh1t`), signs between letters (`f.u.c.k`),
 * letters apart (`f u c k`) or left out (`f*ck`), look-alikes of other scripts, marks, invisible characters, letters repeated. Words
 * are found as words, never inside others: Scunthorpe is a town. Linear in the text's length.
 */
export class Matcher {
  /** Folded words of one part. */
  readonly #words = new Map<string, string>();
  /** The same with each letter once in a row, for repeated letters. */
  readonly #once = new Map<string, string>();
  /** Phrases by the word of theirs that is least used. */
  readonly #phrases = new Map<string, Phrase[]>();
  /** Words of one part by their length, for letters left out with stars. */
  readonly #byLength = new Map<number, Set<string>>();
  /** Lengths of words of scripts without spaces, which are looked for inside rows of characters. */
  readonly #unspaced = new Set<number>();
  readonly #allowed: ReadonlySet<string>;
  /** A word of the list has no letter in it: `4711`. */
  #ofDigits = false;
  /** Words, and those that phrases are found by. */
  readonly #plain = new Set<string>();
  readonly #plainOnce = new Set<string>();
  /** Where the hashes of plain words are: most rows of most texts are told from all of them by one look. */
  readonly seen: Seen = noneSeen();

  constructor(words: Iterable<string>, allow: Iterable<string> = []) {
    this.#allowed = new Set([...allow].map((word) => word.toLowerCase()));
    for (const word of words) this.#add(word);
  }

  #add(word: string): void {
    const parts = word
      .trim()
      .split(/[\s_-]+/)
      .map(foldWord)
      .filter((part) => part !== '');
    if (parts.length > 1) {
      const at = parts.indexOf(parts.reduce((rarest, part) => (rarity(part) >= rarity(rarest) ? part : rarest)));
      const key = parts[at] ?? '';
      this.#phrases.set(key, [
        ...(this.#phrases.get(key) ?? []),
        { before: parts.slice(0, at).reverse(), after: parts.slice(at + 1), word },
      ]);
      this.#remember(key);
    }
    const whole = parts.join('');
    if (whole.length < 2) return;
    if (parts.length === 1 || whole.length >= 6) {
      this.#words.set(whole, word);
      if (/^[0-9]+$/.test(whole)) this.#ofDigits = true;
      this.#byLength.set(whole.length, (this.#byLength.get(whole.length) ?? new Set()).add(whole));
      if (UNSPACED.test(whole)) this.#unspaced.add(whole.length);
      this.#once.set(once(whole), word);
      this.#remember(whole);
    }
  }

  /** Every place of every word, from left to right, none overlapping. Of several matchers: `WordSearch`. */
  find(text: string): Match[] {
    return findAll(text, [this], this.seen)[0] ?? [];
  }

  #remember(word: string): void {
    this.#plain.add(word);
    this.#plainOnce.add(once(word));
    this.seen[placeOf(hashOf(word))] = (this.seen[placeOf(hashOf(word))] ?? 0) | PLAIN;
    const single = hashOf(once(word));
    this.seen[placeOf(single)] = (this.seen[placeOf(single)] ?? 0) | ONCE;
  }

  /** Places in a row of characters between spaces, if by its hashes it may hold a word. */
  inRow(text: string, row: Row): Match[] {
    if (!row.hasLetters && !this.#ofDigits) return [];
    if (row.odd) return this.#inChunk(text, row);
    if (!mayBe(this.seen, row.hash, row.onceHash)) return [];
    // Hashes are alike by chance too. Nothing but ASCII letters here, and marks around them.
    const plain = text
      .slice(row.start, row.end)
      .toLowerCase()
      .replace(/[^a-z]+/g, '');
    return this.#plain.has(plain) || this.#plainOnce.has(once(plain)) ? this.#inChunk(text, row) : [];
  }

  #inChunk(text: string, chunk: Span): Match[] {
    if (chunk.end - chunk.start > LONGEST_CHUNK) return this.#inLong(text, chunk);
    const { start, end } = trimmed(text, chunk);
    if (this.#allowed.has(text.slice(start, end).toLowerCase())) return [];
    const whole = this.#lookUp(text, start, end);
    if (whole !== null) return [{ word: whole, start, end }];
    if (this.#unspaced.size > 0 && UNSPACED.test(text.slice(start, end))) return this.#unspacedIn(text, start, end);
    const phrase = this.#phraseAt(text, start, end);
    if (phrase !== null) return [phrase];
    return /[^\p{L}\p{N}]/u.test(text.slice(start, end)) ? this.#parts(text, start, end) : [];
  }

  /** Parts of `some-word/other_word`. */
  #parts(text: string, start: number, end: number): Match[] {
    const found: Match[] = [];
    for (const match of text.slice(start, end).matchAll(/[^\-/_.,;:=&?#'’"“”()[\]{}<>]{2,}/g)) {
      const from = start + match.index;
      const to = from + match[0].length;
      if (to - from === end - start || this.#allowed.has(match[0].toLowerCase())) continue;
      const word = this.#lookUp(text, from, to);
      if (word !== null) found.push({ word, start: from, end: to });
    }
    return found;
  }

  #unspacedIn(text: string, start: number, end: number): Match[] {
    const found: Match[] = [];
    for (const length of this.#unspaced) {
      for (let from = start; from + length <= end; from++) {
        const word = this.#words.get(text.slice(from, from + length));
        if (word !== undefined) found.push({ word, start: from, end: from + length });
      }
    }
    return found;
  }

  /** A long row without a space: an address, a table, or a script that has none. */
  #inLong(text: string, { start, end }: Span): Match[] {
    const found: Match[] = this.#unspaced.size > 0 ? this.#unspacedIn(text, start, end) : [];
    for (const match of text.slice(start, end).matchAll(/[\p{L}\p{M}\p{N}@$!*]{2,64}/gu)) {
      const from = start + match.index;
      const word = this.#lookUp(text, from, from + match[0].length);
      if (word !== null) found.push({ word, start: from, end: from + match[0].length });
    }
    return found;
  }

  /** The word that a piece of text is, however it is written, or `null`. */
  #lookUp(text: string, start: number, end: number): string | null {
    const readings = readingsOf(text.slice(start, end));
    for (const reading of readings) {
      const word = this.#words.get(reading) ?? (/(.)\1/u.test(reading) ? this.#repeated(reading) : null);
      if (word != null) return word;
    }
    const piece = text.slice(start, end);
    return piece.includes('*') ? this.#starred(piece) : null;
  }

  /** `f*ck`: each star one letter, not the first, and no more of them than letters. */
  #starred(piece: string): string | null {
    if (!/^\p{L}[\p{L}\p{M}]*\*[\p{L}\p{M}*]*\p{L}$/u.test(piece) || piece.length > LONGEST_CHUNK) return null;
    const parts = piece.split('*').map(foldWord);
    const stars = parts.length - 1;
    const length = parts.join('').length + stars;
    if (length < STARRED_LEAST || 2 * stars > length) return null;
    for (const word of this.#byLength.get(length) ?? []) {
      let at = 0;
      const fits = parts.every((part) => {
        const there = word.startsWith(part, at);
        at += part.length + 1;
        return there;
      });
      if (fits) return this.#words.get(word) ?? null;
    }
    return null;
  }

  /** `shiiit`, but not `as` for `ass`, nor `coock`: only where a letter stands more often in a row than in the word. */
  #repeated(reading: string): string | null {
    const word = this.#once.get(once(reading));
    if (word === undefined) return null;
    const right = foldWord(word);
    // Each run of the reading is at least as long as the word's, and one is longer by two or at a doubled letter's place.
    const runs = (text: string) => [...text.matchAll(/(.)\1*/gsu)].map((m) => m[0].length);
    const [given, wanted] = [runs(reading), runs(right)];
    return given.every((n, i) => n >= (wanted[i] ?? 1)) ? word : null;
  }

  /** A phrase around one of its words. */
  #phraseAt(text: string, start: number, end: number): Match | null {
    for (const reading of readingsOf(text.slice(start, end))) {
      for (const { before, after, word } of this.#phrases.get(reading) ?? []) {
        const from = before.reduce<number | null>(
          (at, part) => (at === null ? null : wordBefore(text, at, part)),
          start,
        );
        const to = after.reduce<number | null>((at, part) => (at === null ? null : wordAfter(text, at, part)), end);
        if (from !== null && to !== null) return { word, start: from, end: to };
      }
    }
    return null;
  }

  /** Words in a row of single letters. */
  inSingles(singles: readonly Single[]): Match[] {
    if (singles.length < SPACED_LEAST) return [];
    const letters = singles.map(({ letter }) => letter);
    const own = singles.map((single) => single.own);
    const found: Match[] = [];
    for (let from = 0; from < letters.length; ) {
      let to = Math.min(letters.length, from + 20);
      let match: Match | null = null;
      for (; to - from >= SPACED_LEAST && match === null; to--) {
        const word = this.#words.get(letters.slice(from, to).join('')) ?? this.#words.get(own.slice(from, to).join(''));
        const [first, last] = [singles[from], singles[to - 1]];
        if (word !== undefined && first && last) match = { word, start: first.start, end: last.end };
      }
      if (match === null) from++;
      else {
        found.push(match);
        from = to + 1;
      }
    }
    return found;
  }
}

interface Phrase {
  /** The words before the one it is found by, the nearest first. */
  before: string[];
  after: string[];
  word: string;
}

/** Words that are in every text, of which a phrase is not found. */
const COMMON = new Set(
  (
    'the a an of to with and or in on at for by from is are was were be been his her him he she it its my your our their them us me ' +
    'has had have having make made get got give do little young old big small year years no not all one two de la le les des du un une ' +
    'avec sa son se en el los las con su der die das den dem ein eine mit und'
  ).split(' '),
);
const rarity = (part: string) => (COMMON.has(part) ? 0 : part.length);

/** Where the word ends that follows, if it is this one; what stands between is not long. */
function wordAfter(text: string, at: number, word: string): number | null {
  const next = /^[\s\p{P}]{1,8}([\p{L}\p{M}\p{N}@$!]{1,64})/u.exec(text.slice(at, at + 80));
  return next !== null && readingsOf(next[1] ?? '').includes(word) ? at + next[0].length : null;
}

function wordBefore(text: string, at: number, word: string): number | null {
  const from = Math.max(0, at - 80);
  const last = /([\p{L}\p{M}\p{N}@$!]{1,64})[\s\p{P}]{1,8}$/u.exec(text.slice(from, at));
  return last !== null && readingsOf(last[1] ?? '').includes(word) ? from + last.index : null;
}

const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}]/u;

/** Without the marks around it. */
function trimmed(text: string, { start, end }: Span): Span {
  const edge = /[\s"'“”‘’«»„()[\]{}<>.,;:?!…*_~`#-]/;
  let [from, to] = [start, end];
  while (from < to && edge.test(text[from] ?? '')) from++;
  while (to > from && edge.test(text[to - 1] ?? '')) to--;
  return from < to ? { start: from, end: to } : { start, end };
}

/** What a piece of text may be read as: as it is, and with signs taken for letters. */
function readingsOf(piece: string): string[] {
  const latin = /[a-z]/i.test(piece) || /[^ -~]/.test(piece);
  let plain = '';
  let own = '';
  let leet = '';
  let other = '';
  let signs = 0;
  let digits = 0;
  let letters = 0;
  for (const character of piece) {
    const folded = foldCharacter(character, latin);
    if (folded !== null) {
      plain += folded;
      leet += folded;
      other += folded;
      own += foldCharacter(character, false) ?? '';
      if (folded !== '') letters++;
      continue;
    }
    const sign = leetLetter(character);
    if (sign === null || sign === '*') continue;
    signs++;
    if (/[0-9]/.test(character)) digits++;
    leet += sign;
    // 1, | and ! are as often an l.
    other += sign === 'i' ? 'l' : sign;
  }
  const readings = plain === '' ? [] : [plain, own];
  // As it is: some names have digits.
  if (digits > 0) readings.push(foldWord(piece));
  // Numbers and codes are no words: there must be letters, and as many as digits.
  if (signs > 0 && letters > 0 && letters >= digits) readings.push(leet, other);
  return [...new Set(readings)];
}
