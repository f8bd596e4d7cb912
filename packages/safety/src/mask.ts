import type { Span } from './port.ts';

export interface LabelledSpan extends Span {
  label: string;
}

/** What stands in the place of something masked. Brackets, lower-case letters, digits and `_`: good in a JSON string too. */
export const placeholder = (label: string) => `[${label}]`;

/**
 * The text with each span's placeholder in its place; where spans overlap, the first one's label stands for all. Half a
 * surrogate pair is never left. JSON (an object, array or string as a whole) stays valid JSON: inside strings an escape goes
 * whole, a number or word (`true`) with a finding becomes a string, and what is between values stays.
 */
export function mask(text: string, spans: readonly LabelledSpan[]): string {
  const merged = mergeSpans(spans);
  if (merged.length === 0) return text;
  return isJson(text) ? maskJson(text, merged) : replaceSpans(text, merged);
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
  for (const span of spans) {
    const start = splitsPair(text, span.start) ? span.start - 1 : span.start;
    const end = splitsPair(text, span.end) ? span.end + 1 : span.end;
    // A pair cut by two spans was taken by the first.
    if (start > at || at === 0) parts.push(text.slice(at, start));
    parts.push(placeholder(span.label));
    at = Math.max(at, end);
  }
  parts.push(text.slice(at));
  return parts.join('');
}

/** Whether the place between two units is inside a surrogate pair. */
function splitsPair(text: string, at: number): boolean {
  return isHigh(text.charCodeAt(at - 1)) && isLow(text.charCodeAt(at));
}
const isHigh = (unit: number) => unit >= 0xd800 && unit <= 0xdbff;
const isLow = (unit: number) => unit >= 0xdc00 && unit <= 0xdfff;

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
const ESCAPES = /\\(?:u[0-9a-fA-F]{4}|.)/g;

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
    const inner = own
      .map((span) => ({ ...span, start: Math.max(1, span.start), end: Math.min(value.length - 1, span.end) }))
      .filter((span) => span.end > span.start);
    return replaceSpans(value, mergeSpans(inner.map((span) => wholeEscapes(value, span))));
  });
}

/** The span widened so that no escape of the string literal is cut. */
function wholeEscapes(literal: string, span: LabelledSpan): LabelledSpan {
  if (!literal.includes('\\')) return span;
  let { start, end } = span;
  for (const match of literal.matchAll(ESCAPES)) {
    const from = match.index;
    const to = from + match[0].length;
    if (from >= end) break;
    if (from < start && start < to) start = from;
    if (from < end && end < to) end = to;
  }
  return { ...span, start, end };
}
