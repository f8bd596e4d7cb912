import { joinWords, type Word, widthOf, wordsOf } from './words.ts';

/** Some text and when it is said, in milliseconds. */
export interface Timed {
  start: number;
  end: number;
  text: string;
}

/** What is on the screen at once. */
export interface Cue {
  start: number;
  end: number;
  /** One or two. */
  lines: string[];
}

/** Longest line, in columns: what subtitles are commonly held to (Netflix, BBC: 37 to 42). */
export const LINE_COLUMNS = 42;
/** Longest time a cue stays, in milliseconds. */
export const CUE_MS = 7_000;
const LINES = 2;
/** Most columns of the first line that are left free; a longer name of a speaker makes that line too long. */
export const MAX_INDENT = 20;

/**
 * A segment as cues: at most two lines of 42 columns (East Asian characters take two), at most 7 seconds each, broken at
 * the ends of sentences, else of clauses, else between words. Nobody knows when within a segment a word is said, so
 * its time is shared by length. A single word that would stay longer than 7 seconds goes early.
 * @param nameColumns columns the first line of each cue leaves free.
 */
export function cuesOf({ start, end, text }: Timed, nameColumns = 0): Cue[] {
  const indent = Math.min(nameColumns, MAX_INDENT);
  const words = wordsOf(text, LINE_COLUMNS - indent);
  const total = lengthOf(words);
  const duration = end - start;
  const cues: Cue[] = [];
  let before = 0;
  let at = start;
  for (let i = 0; i < words.length; ) {
    const n = cueLength(words, i, indent, (width) => (width / total) * duration <= CUE_MS);
    const own = words.slice(i, i + n);
    i += n;
    before += lengthOf(own);
    const until = start + Math.round((before / total) * duration);
    // Where text is crammed into no time, a cue still lasts a millisecond: both formats want its end after its start.
    const next = Math.max(until, at + 1);
    cues.push({ start: at, end: Math.min(next, at + CUE_MS), lines: wrap(own, indent) });
    at = next;
  }
  return cues;
}

const lengthOf = (words: readonly Word[]) => words.reduce((sum, word) => sum + widthOf(word.text), 0);

/** How many of the words from `i` on make a good cue. At least one. */
function cueLength(words: readonly Word[], i: number, indent: number, inTime: (width: number) => boolean): number {
  let most = 1;
  let width = widthOf(words[i]?.text ?? '');
  for (let n = 2; i + n <= words.length; n++) {
    width += widthOf(words[i + n - 1]?.text ?? '');
    if (!inTime(width) || greedy(words.slice(i, i + n), indent).length > LINES) break;
    most = n;
  }
  if (i + most === words.length) return most;
  // A break in the last half that reads well is worth a shorter cue.
  const ends = (pattern: RegExp) => {
    for (let n = most; n >= most / 2; n--) if (pattern.test(words[i + n - 1]?.text ?? '')) return n;
    return null;
  };
  return ends(/[.!?…。!?]["'»”’)\]]*$/u) ?? ends(/[,;:–—、,;:]$/u) ?? most;
}

/** Lines as full as they get. */
function greedy(words: readonly Word[], indent: number): Word[][] {
  const lines: Word[][] = [];
  let line: Word[] = [];
  let room = LINE_COLUMNS - indent;
  for (const word of words) {
    const width = widthOf(word.text) + (word.space && line.length > 0 ? 1 : 0);
    if (line.length > 0 && width > room) {
      lines.push(line);
      line = [];
      room = LINE_COLUMNS;
    }
    line.push(word);
    room -= line.length === 1 ? widthOf(word.text) : width;
  }
  return line.length === 0 ? lines : [...lines, line];
}

/** The words on one line, or on two as even as they get. */
function wrap(words: readonly Word[], indent: number): string[] {
  const full = greedy(words, indent);
  if (full.length !== 2) return full.map(joinWords);
  const widths = (n: number): [number, number] => [
    indent + widthOf(joinWords(words.slice(0, n))),
    widthOf(joinWords(words.slice(n))),
  ];
  let best = full[0]?.length ?? 1;
  const unevenness = (n: number) => {
    const [a, b] = widths(n);
    return Math.max(a, b) > LINE_COLUMNS ? Number.POSITIVE_INFINITY : Math.abs(a - b);
  };
  for (let n = 1; n < words.length; n++) if (unevenness(n) < unevenness(best)) best = n;
  return [joinWords(words.slice(0, best)), joinWords(words.slice(best))];
}
