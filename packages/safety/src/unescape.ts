import { isJson } from './mask.ts';
import type { Span } from './port.ts';

/** A text with its escapes undone, and the way back to where everything stands in the text itself. */
export interface Unescaped {
  text: string;
  /** Where a span of `text` stands in the original, escapes whole. */
  original(span: Span): Span;
}

/** Of JSON, which has nothing else behind a backslash; and what other texts have of it. */
const JSON_ESCAPE = /\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt])/g;
const UNICODE_ESCAPE = /\\u[0-9a-fA-F]{4}/g;
/** JSON in a string of JSON is escaped twice, and a third time is nobody's way of writing. */
const DEEPEST = 3;

/**
 * The text as whoever parses it will read it, once for each time that it is escaped: `{"a":"\u0078"}` as `{"a":"x"}`. Of JSON
 * every escape is undone, of other texts those that name a character by its number. Empty if there is none.
 */
export function unescapedViews(text: string): Unescaped[] {
  const views: Unescaped[] = [];
  let last: Unescaped = { text, original: (span) => span };
  while (views.length < DEEPEST && last.text.includes('\\')) {
    const next = unescaped(last, views.length === 0 && isJson(text) ? JSON_ESCAPE : UNICODE_ESCAPE);
    if (next === null) break;
    views.push(next);
    last = next;
  }
  return views;
}

function unescaped(outer: Unescaped, form: RegExp): Unescaped | null {
  /** Where each undone escape is in the new text, and by how much everything behind it has moved. */
  const places: number[] = [];
  const moved: number[] = [];
  const parts: string[] = [];
  let [at, length, gone] = [0, 0, 0];
  for (const match of outer.text.matchAll(form)) {
    const before = outer.text.slice(at, match.index);
    const character = String(JSON.parse(`"${match[0]}"`));
    parts.push(before, character);
    places.push(length + before.length);
    length += before.length + character.length;
    gone += match[0].length - character.length;
    moved.push(gone);
    at = match.index + match[0].length;
  }
  if (places.length === 0) return null;
  parts.push(outer.text.slice(at));
  const back = (place: number): number => {
    // How many escapes stand wholly before the place.
    let [low, high] = [0, places.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((places[middle] ?? 0) < place) low = middle + 1;
      else high = middle;
    }
    return place + (low === 0 ? 0 : (moved[low - 1] ?? 0));
  };
  return {
    text: parts.join(''),
    original: ({ start, end }) => outer.original({ start: back(start), end: back(end) }),
  };
}
