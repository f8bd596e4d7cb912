import type { Span } from './port.ts';

/**
 * Overlapping pieces of at most `most` units that together cover the text, cut at spaces where there are some, and never inside a
 * surrogate pair. What is said across a border is whole in one of them if it is shorter than `overlap`.
 */
export function windowsOf(text: string, most: number, overlap: number): Span[] {
  if (text.length <= most) return [{ start: 0, end: text.length }];
  const windows: Span[] = [];
  for (let start = 0; ; ) {
    const end = start + most >= text.length ? text.length : cut(text, start + most, Math.floor(most / 4));
    windows.push({ start, end });
    if (end === text.length) return windows;
    const next = cut(text, end - overlap, Math.floor(overlap / 2));
    // On it goes in any case, by half a window at least.
    start = Math.max(next, start + Math.floor(most / 2));
    if (splitsPair(text, start)) start--;
  }
}

/** The last space at or before `at`, no further back than `back`; else `at` itself, but not inside a pair. */
function cut(text: string, at: number, back: number): number {
  for (let i = at; i > at - back && i > 0; i--) if (/\s/.test(text[i - 1] ?? '')) return i;
  return splitsPair(text, at) ? at - 1 : at;
}

function splitsPair(text: string, at: number): boolean {
  const [before, after] = [text.charCodeAt(at - 1), text.charCodeAt(at)];
  return before >= 0xd800 && before <= 0xdbff && after >= 0xdc00 && after <= 0xdfff;
}
