import type { Span } from '../port.ts';
import { foldCharacter, foldWord, leetLetter, once } from './fold.ts';

/** A word was found: which, and where. */
export interface Match extends Span {
  word: string;
}

/** Words of one letter less than this are not looked for in rows of single letters: `a s s` is too often a list. */
const SPACED_LEAST = 3;
const LONGEST_CHUNK = 64;

/**
 * Finds words in texts, also in disguise: other digits and signs for letters (`sh1t`), signs between letters (`f.u.c.k`),
 * letters apart (`f u c k`), look-alikes of other scripts, marks, invisible characters, letters repeated. Words are found as words,
 * never inside others: Scunthorpe is a town. Linear in the text's length.
 */
export class Matcher {
  /** Folded words of one part. */
  readonly #words = new Map<string, string>();
  /** The same with each letter once in a row, for repeated letters. */
  readonly #once = new Map<string, string>();
  /** Phrases by their first word. */
  readonly #phrases = new Map<string, { parts: string[]; word: string }[]>();
  /** Lengths of words of scripts without spaces, which are looked for inside rows of characters. */
  readonly #unspaced = new Set<number>();
  readonly #allowed: ReadonlySet<string>;
  /** Hashes of plain words: most chunks of most texts are told from all of them by one look. */
  readonly #plain = new Set<number>();

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
    const [first] = parts;
    if (first === undefined) return;
    if (parts.length > 1) {
      this.#phrases.set(first, [...(this.#phrases.get(first) ?? []), { parts, word }]);
      this.#plain.add(hashOf(first));
    }
    const whole = parts.join('');
    if (whole.length < 2) return;
    if (parts.length === 1 || whole.length >= 6) {
      this.#words.set(whole, word);
      if (UNSPACED.test(whole)) this.#unspaced.add(whole.length);
      this.#once.set(once(whole), word);
      this.#plain.add(hashOf(whole));
      this.#plain.add(hashOf(once(whole)));
    }
  }

  /** Every place of every word, from left to right, none overlapping. */
  find(text: string): Match[] {
    const found: Match[] = [];
    let singles: Chunk[] = [];
    const endOfSingles = () => {
      if (singles.length >= SPACED_LEAST) found.push(...this.#spaced(singles));
      singles = [];
    };
    for (const chunk of chunksOf(text)) {
      if (chunk.letters === 1) {
        singles.push(chunk);
        continue;
      }
      endOfSingles();
      // Plain words, which are nearly all, are only hashed.
      if (!chunk.odd && !this.#plain.has(chunk.hash) && !this.#plain.has(chunk.onceHash)) continue;
      found.push(...this.#inChunk(text, chunk));
    }
    endOfSingles();
    return apart(found);
  }

  #inChunk(text: string, chunk: Chunk): Match[] {
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
  #inLong(text: string, { start, end }: Chunk): Match[] {
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

  #phraseAt(text: string, start: number, end: number): Match | null {
    for (const first of readingsOf(text.slice(start, end))) {
      for (const { parts, word } of this.#phrases.get(first) ?? []) {
        let at = end;
        let fits = true;
        for (const part of parts.slice(1)) {
          const next = /^[\s\p{P}]{1,8}([\p{L}\p{M}\p{N}@$!]{1,64})/u.exec(text.slice(at, at + 80));
          if (next === null || !readingsOf(next[1] ?? '').includes(part)) {
            fits = false;
            break;
          }
          at += next[0].length;
        }
        if (fits) return { word, start, end: at };
      }
    }
    return null;
  }

  /** Words in a row of single letters. */
  #spaced(singles: readonly Chunk[]): Match[] {
    const letters = singles.map((chunk) => chunk.letter);
    const found: Match[] = [];
    for (let from = 0; from < letters.length; ) {
      let to = Math.min(letters.length, from + 20);
      let match: Match | null = null;
      for (; to - from >= SPACED_LEAST && match === null; to--) {
        const word = this.#words.get(letters.slice(from, to).join(''));
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

const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}]/u;

interface Chunk extends Span {
  /** How many letters, or signs for letters, it has. */
  letters: number;
  /** Of a chunk of one letter, that letter. */
  letter: string;
  /** Something in it is not a plain letter: it must be looked at closely. */
  odd: boolean;
  /** Of its letters, and of its letters each once in a row. */
  hash: number;
  onceHash: number;
}

/** 1 letter, 2 upper-case letter, 3 space, 4 a plain mark that ends a word, 0 anything else. */
const KIND = new Uint8Array(128);
for (let c = 97; c <= 122; c++) KIND[c] = 1;
for (let c = 65; c <= 90; c++) KIND[c] = 2;
for (const c of ' \n\r\t\f\v') KIND[c.charCodeAt(0)] = 3;
for (const c of '.,;:?"\')]}') KIND[c.charCodeAt(0)] = 4;

const step = (hash: number, letter: number) => (Math.imul(hash, 31) + letter) | 0;

function hashOf(word: string): number {
  let hash = 7;
  for (let i = 0; i < word.length; i++) hash = step(hash, word.charCodeAt(i));
  return hash;
}

/** Rows of characters between spaces. One pass, a table look-up for each character. */
function* chunksOf(text: string): Generator<Chunk> {
  const { length } = text;
  let at = 0;
  while (at < length) {
    let code = text.charCodeAt(at);
    if (code < 128 ? KIND[code] === 3 : code === 0xa0 || code === 0x3000) {
      at++;
      continue;
    }
    const start = at;
    let hash = 7;
    let letters = 0;
    let odd = false;
    let ended = false;
    let onceHash = 7;
    let before = 0;
    for (; at < length; at++) {
      code = text.charCodeAt(at);
      if (code >= 128) {
        if (code === 0xa0 || code === 0x3000 || code === 0x2003) break;
        odd = true;
        letters++;
        continue;
      }
      const kind = KIND[code];
      if (kind === 3) break;
      if (kind === 1 || kind === 2) {
        const letter = kind === 2 ? code + 32 : code;
        // A mark inside a word: `don't`, `f.u.c.k`.
        if (ended) odd = true;
        hash = step(hash, letter);
        if (letter !== before) onceHash = step(onceHash, letter);
        before = letter;
        letters++;
      } else if (kind === 4) ended = letters > 0;
      else {
        odd = true;
        letters++;
      }
    }
    if (letters === 1) {
      const letter = singleLetter(text, start, at);
      yield { start, end: at, letters: letter === '' ? 0 : 1, letter, odd: false, hash: 0, onceHash: 0 };
    } else yield { start, end: at, letters, letter: '', odd: odd && letters > 1, hash, onceHash };
  }
}

function singleLetter(text: string, start: number, end: number): string {
  for (const character of text.slice(start, Math.min(end, start + 8))) {
    const letter = foldCharacter(character, true) || leetLetter(character);
    if (letter) return letter.length === 1 ? letter : '';
  }
  return '';
}

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
  // Numbers and codes are no words: there must be letters, and as many as digits.
  if (signs > 0 && letters > 0 && letters >= digits) readings.push(leet, other);
  return [...new Set(readings)];
}

function apart(matches: Match[]): Match[] {
  const kept: Match[] = [];
  for (const match of matches.sort((a, b) => a.start - b.start || b.end - a.end))
    if (match.start >= (kept.at(-1)?.end ?? 0)) kept.push(match);
  return kept;
}
