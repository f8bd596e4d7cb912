import type { RE2JS } from 're2js';
import type { Span } from '../port.ts';

/** A window: matches that begin in its first `STEP` characters, each with `AHEAD` more at least to be found whole. */
const STEP = 2_048;
const AHEAD = 2_048;
/** A match that does not end in its window is looked for again in this much text. */
const LONG = 65_536;
const MOST_LONG = 64;
const MOST_MATCHES = 4_096;
/** Patterns that look at the ends of the text cannot be searched for in windows. */
const MOST_ANCHORED = 8;

/**
 * Where a pattern matches, from left to right, in time linear in the length of the text, whatever pattern and text are.
 *
 * One search by an automaton is linear, but a search for all matches is not: for each match it may read to the end of the text
 * before it knows how long the match is (`a.*b|a` on `aaaa…`). So the text is searched in windows, and the number of
 * searches is bounded. What goes over the bounds is not left out: more than 4,096 matches (8, if the pattern looks at the
 * ends of the text) are the text as a whole, and a match of more than 65,536 characters counts as reaching its end.
 * One of more than 2,048 whose end decides whether it is one (`BEGIN.*END`) may be passed over beside shorter ones; when those
 * are masked and the text is looked at again, it is found as the text as a whole.
 *
 * @returns `null` if that is so, or if the pattern matches but holds no character: the text as a whole
 */
export function spansOf(regexp: RE2JS, text: string, anchored: boolean): Span[] | null {
  if (text.length <= STEP) return inWhole(regexp, text, MOST_MATCHES);
  if (anchored) return inWhole(regexp, text, MOST_ANCHORED);
  const spans: Span[] = [];
  let matches = 0;
  let long = 0;
  let at = 0;
  while (at < text.length) {
    // One character before, so that `\b` and `^` see what stands there.
    const from = boundary(text, at - 1);
    const to = boundary(text, at + STEP + AHEAD);
    const last = boundary(text, at + STEP);
    const window = text.slice(from, to);
    let next = last;
    if (regexp.test(window)) {
      const matcher = regexp.matcher(window);
      for (let found = matcher.find(at - from); found; found = matcher.find()) {
        const start = from + matcher.start();
        const end = from + matcher.end();
        if (start >= last && to < text.length) break;
        if (++matches > MOST_MATCHES) return null;
        if (end === to && to < text.length) {
          // It may be longer than the window, or no match at all: the end of the window is not that of the text.
          const whole = ++long > MOST_LONG ? text.length : endOf(regexp, text, start);
          if (whole === text.length) return [...spans, { start, end: whole }];
          if (whole !== null && whole > start) spans.push({ start, end: whole });
          next = Math.max(whole ?? 0, start + ((text.codePointAt(start) ?? 0) > 0xffff ? 2 : 1));
          break;
        }
        if (end > start) spans.push({ start, end });
        next = Math.max(last, end);
      }
    }
    at = next;
  }
  return spans.length === 0 ? null : spans;
}

function inWhole(regexp: RE2JS, text: string, most: number): Span[] | null {
  const spans: Span[] = [];
  const matcher = regexp.matcher(text);
  for (let matches = 0; matcher.find(); ) {
    if (++matches > most) return null;
    if (matcher.end() > matcher.start()) spans.push({ start: matcher.start(), end: matcher.end() });
  }
  return spans.length === 0 ? null : spans;
}

/** Where a match from `start` on ends; the end of the text if it is too long to say; `null` if there is none. */
function endOf(regexp: RE2JS, text: string, start: number): number | null {
  const from = boundary(text, start - 1);
  const to = boundary(text, start + LONG);
  const matcher = regexp.matcher(text.slice(from, to));
  if (!matcher.find(start - from) || from + matcher.start() !== start) return null;
  const end = from + matcher.end();
  return end === to ? text.length : end;
}

/** `at`, within the text and not in the middle of a surrogate pair. */
function boundary(text: string, at: number): number {
  if (at <= 0) return 0;
  if (at >= text.length) return text.length;
  const low = (text.charCodeAt(at) & 0xfc00) === 0xdc00;
  return low && (text.charCodeAt(at - 1) & 0xfc00) === 0xd800 ? at - 1 : at;
}

/**
 * True if a pattern may look at the ends of the text: `^` and `$` without the flag `m`, `\A` or `\z`. In doubt it says so, which costs
 * precision in texts with many matches only.
 */
export function looksAtEnds(pattern: string, flags = ''): boolean {
  // What is quoted, or switched inside, is not read here.
  if (/\\[AzQ]|\(\?[a-zA-Z]*-[a-zA-Z]*m/.test(pattern)) return true;
  if (flags.includes('m') || /^\(\?[a-zA-Z]*m[a-zA-Z]*\)/.test(pattern)) return false;
  return /[\^$]/.test(pattern.replace(ESCAPE_OR_CLASS, ''));
}

const ESCAPE_OR_CLASS = /\\[\s\S]|\[\^?\]?(?:\[:\^?[a-z]+:\]|\\[\s\S]|[^\]\\])*\]/g;
