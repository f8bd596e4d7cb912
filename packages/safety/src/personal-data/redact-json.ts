import { type FindOptions, findPersonalData } from './find.ts';
import { replaced } from './redact.ts';

/**
 * Strings and numbers of a JSON text, and whether a colon follows (then it is a key). Only for text that JSON.parse has
 * accepted. The parts cannot be confused with each other, so the expression never goes back.
 */
const VALUES = /"((?:[^"\\]|\\.)*)"(\s*:)?|-?\d[\d.eE+-]*/g;

/**
 * Redacts inside the strings and numbers of a valid JSON text, which stays valid: every byte outside them is kept. A key
 * is a string like any other, and tells what its value is about. A number with a finding becomes a string.
 * `null` if there is nothing to redact.
 */
export function redactJson(text: string, options: FindOptions): string | null {
  let key = '';
  let changed = false;
  const result = text.replace(VALUES, (whole: string, body: string | undefined, colon: string | undefined) => {
    if (body === undefined) {
      const digits = wholeNumber(whole);
      const spans = findPersonalData(digits, options, key);
      if (spans.length === 0) return whole;
      changed = true;
      return JSON.stringify(replaced(digits, spans));
    }
    const value = body.includes('\\') ? unescaped(body) : body;
    const spans = findPersonalData(value, options, colon === undefined ? key : '');
    if (colon !== undefined) key = value;
    if (spans.length === 0) return whole;
    changed = true;
    return `${JSON.stringify(replaced(value, spans))}${colon ?? ''}`;
  });
  return changed ? result : null;
}

function unescaped(body: string): string {
  return String(JSON.parse(`"${body}"`));
}

/** The digits a reader of the number would see: `4.111111111111111e15` is 4111111111111111. */
function wholeNumber(literal: string): string {
  if (!/[.eE]/.test(literal)) return literal;
  const value = Number(literal);
  return Number.isSafeInteger(value) ? String(value) : literal;
}
