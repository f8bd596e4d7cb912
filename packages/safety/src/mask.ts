import type { Span } from './port.ts';

export interface LabelledSpan extends Span {
  label: string;
}

/** What stands in the place of something masked. Brackets, lower-case letters, digits and `_`: good in a JSON string too. */
export const placeholder = (label: string) => `[${label}]`;

/**
 * The text with each span's placeholder in its place; where spans overlap, the first one's label stands for all. No character as
 * people see it (a grapheme cluster: a letter with its marks, a surrogate pair, a family of emoji) is left in half. JSON (an
 * object, array or string as a whole) stays valid JSON: inside strings an escape goes whole, a number or word (`true`) with a
 * finding becomes a string, and what is between values stays.
 */
export function mask(text: string, spans: readonly LabelledSpan[]): string {
  const merged = mergeSpans(spans);
  if (merged.length === 0) return text;
  return isJson(text)
    ? maskJson(text, merged)
    : replaceSpans(text, mergeSpans(merged.map((span) => whole(text, span))));
}

/** In order, without overlaps. */
function mergeSpans(spans: readonly LabelledSpan[]): LabelledSpan[] {
  const merged: LabelledSpan[] = [];
  for (const span of spans.filter((s) => s.end > s.start).sort((a, b) => a.start - b.start || b.end - a.end)) {
    const last = merged.at(-1);
    if (last !== undefined && span.start < last.end) last.end = Math.max(last.end, span.end);
    else merged.push({ ...span });
  }
  return merged;
}

function replaceSpans(text: string, spans: readonly LabelledSpan[]): string {
  const parts: string[] = [];
  let at = 0;
  for (const { start, end, label } of spans) {
    parts.push(text.slice(at, start), placeholder(label));
    at = end;
  }
  parts.push(text.slice(at));
  return parts.join('');
}

const CHARACTERS = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
/** More than any character people write has units; what goes beyond is cut. */
const LONGEST_CHARACTER = 64;
/** The first mark that joins the character before it. */
const FIRST_MARK = 0x300;

/** The span widened so that it cuts no character. */
function whole(text: string, span: LabelledSpan): LabelledSpan {
  return { ...span, start: characterAt(text, span.start).start, end: characterAt(text, span.end).end };
}

/** The character that a place is inside of; from the place to itself, if it is between two. */
function characterAt(text: string, at: number): Span {
  const between = { start: at, end: at };
  if (at <= 0 || at >= text.length) return between;
  if (text.charCodeAt(at - 1) < FIRST_MARK && text.charCodeAt(at) < FIRST_MARK) return between;
  const from = Math.max(0, at - LONGEST_CHARACTER);
  const found = CHARACTERS.segment(text.slice(from, at + LONGEST_CHARACTER)).containing(at - from);
  if (found === undefined || from + found.index === at) return between;
  return { start: from + found.index, end: from + found.index + found.segment.length };
}

/** A whole JSON value that is not just a bare word or number: those read the same as text. */
export function isJson(text: string): boolean {
  if (!/^\s*[{["]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Strings, numbers and words of a valid JSON text. The parts cannot be confused with each other, so it never goes back. */
const VALUES = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null/g;
/** A pair of them is one character beyond the first 65,536. */
const ESCAPES = /\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\(?:u[0-9a-fA-F]{4}|.)/g;

function maskJson(text: string, spans: readonly LabelledSpan[]): string {
  let next = 0;
  return text.replace(VALUES, (value: string, start: number) => {
    const end = start + value.length;
    while ((spans[next]?.end ?? Number.POSITIVE_INFINITY) <= start) next++;
    const own: LabelledSpan[] = [];
    for (let i = next; i < spans.length; i++) {
      const span = spans[i];
      if (span === undefined || span.start >= end) break;
      own.push({ ...span, start: span.start - start, end: span.end - start });
    }
    if (own.length === 0) return value;
    if (!value.startsWith('"')) return JSON.stringify(placeholder(own[0]?.label ?? 'redacted'));
    const body = value.slice(1, -1);
    const inner = own
      .map((span) => ({ ...span, start: Math.max(0, span.start - 1), end: Math.min(body.length, span.end - 1) }))
      .filter((span) => span.end > span.start)
      .map((span) => wholeEscapes(body, whole(body, span)));
    return `"${replaceSpans(body, mergeSpans(inner))}"`;
  });
}

/** The span widened so that no escape of the string's body is cut. */
function wholeEscapes(body: string, span: LabelledSpan): LabelledSpan {
  if (!body.includes('\\')) return span;
  let { start, end } = span;
  for (const match of body.matchAll(ESCAPES)) {
    const from = match.index;
    const to = from + match[0].length;
    if (from >= end) break;
    if (from < start && start < to) start = from;
    if (from < end && end < to) end = to;
  }
  return { ...span, start, end };
}
