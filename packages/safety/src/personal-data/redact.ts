import { type FindOptions, findPersonalData } from './find.ts';
import { redactJson } from './redact-json.ts';
import type { Kind, Span } from './span.ts';

export const PLACEHOLDERS: Record<Kind, string> = {
  email: '[email]',
  phone: '[phone]',
  card: '[card]',
  iban: '[iban]',
};

/** A text takes one look, and another to see that nothing is left: a redaction can bring to light what it stood beside. */
const MOST_LOOKS = 12;

/**
 * The text with its personal data replaced, or `null` if there is none. JSON stays JSON. Nothing is found in the result
 * on another look.
 * @throws Error if there still is something after many looks; the text is then not to be delivered.
 */
export function redact(text: string, options: FindOptions): string | null {
  const once = isJson(text) ? redactJson : redactText;
  let current = text;
  for (let look = 0; look < MOST_LOOKS; look++) {
    const next = once(current, options);
    if (next === null) return look === 0 ? null : current;
    current = next;
  }
  throw new Error('personal data is left after redaction');
}

function redactText(text: string, options: FindOptions): string | null {
  const spans = findPersonalData(text, options);
  return spans.length === 0 ? null : replaced(text, spans);
}

/** The text with each span's placeholder in its place. */
export function replaced(text: string, spans: readonly Span[]): string {
  const parts: string[] = [];
  let at = 0;
  for (const { start, end, kind } of spans) {
    parts.push(text.slice(at, start), PLACEHOLDERS[kind]);
    at = end;
  }
  parts.push(text.slice(at));
  return parts.join('');
}

/** A whole JSON value that is not just a bare word or number: those read the same as text. */
function isJson(text: string): boolean {
  if (!/^[\s]*[{["]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
