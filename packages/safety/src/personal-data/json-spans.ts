import { type FindOptions, findPersonalData } from './find.ts';
import type { Span } from './span.ts';

/**
 * Strings and numbers of a JSON text, and whether a colon follows (then it is a key). Only for text that JSON.parse has
 * accepted. The parts cannot be confused with each other, so the expression never goes back.
 */
const VALUES = /"((?:[^"\\]|\\.)*)"(\s*:)?|-?\d[\d.eE+-]*/g;

/**
 * Personal data in the strings and numbers of a valid JSON text, where it stands in that text. A key is a string like any
 * other, and tells what its value is about.
 */
export function findInJson(text: string, options: FindOptions): Span[] {
  const spans: Span[] = [];
  let key = '';
  for (const match of text.matchAll(VALUES)) {
    const [whole, body, colon] = match;
    if (body === undefined) {
      const digits = wholeNumber(whole);
      for (const { start, end, kind } of findPersonalData(digits, options, key)) {
        // Written otherwise than it is read: all of it.
        const from = digits === whole ? { start, end } : { start: 0, end: whole.length };
        spans.push({ kind, start: match.index + from.start, end: match.index + from.end });
      }
      continue;
    }
    const { value, at } = unescaped(body);
    for (const { start, end, kind } of findPersonalData(value, options, colon === undefined ? key : ''))
      spans.push({ kind, start: match.index + 1 + at(start), end: match.index + 1 + at(end) });
    if (colon !== undefined) key = value;
  }
  return spans;
}

/** A string's value, and where each of its units begins in the literal. */
function unescaped(body: string): { value: string; at: (index: number) => number } {
  if (!body.includes('\\')) return { value: body, at: (index) => index };
  const starts: number[] = [];
  let value = '';
  for (const match of body.matchAll(/\\u[0-9a-fA-F]{4}|\\.|[^\\]+/gs)) {
    const [part] = match;
    const plain = part.startsWith('\\') ? String(JSON.parse(`"${part}"`)) : part;
    for (let i = 0; i < plain.length; i++) starts.push(match.index + (plain === part ? i : 0));
    value += plain;
  }
  return { value, at: (index) => starts[index] ?? body.length };
}

/** The digits a reader of the number would see: `4.111111111111111e15` is 4111111111111111. */
function wholeNumber(literal: string): string {
  if (!/[.eE]/.test(literal)) return literal;
  const value = Number(literal);
  return Number.isSafeInteger(value) ? String(value) : literal;
}
