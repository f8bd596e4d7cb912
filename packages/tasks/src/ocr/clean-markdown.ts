export interface CleanMarkdown {
  markdown: string;
  /** The model had run into a loop: what it repeated at the end is there once. */
  repeated: boolean;
}

/**
 * What a model wrote for a page, as Markdown alone: without a code fence around the whole of it, without blanks at the
 * ends of lines (two before a line break stay: they are one in Markdown), and with a loop at its end said once.
 */
export function cleanMarkdown(text: string): CleanMarkdown {
  const markdown = withoutBlanks(withoutFence(text.replaceAll(/\r\n?/g, '\n')));
  const loop = endLoop(markdown);
  if (loop === null) return { markdown, repeated: false };
  return { markdown: markdown.slice(0, endOfFirst(markdown, loop)).trimEnd(), repeated: true };
}

/** A fence that holds the whole answer, ``` or ```markdown; its end may be missing where the answer was cut off. */
function withoutFence(text: string): string {
  const opening = /^\s*(`{3,})(?:markdown|md)?[ \t]*\n/i.exec(text);
  if (opening === null) return text;
  const [whole, fence = ''] = opening;
  const lines = text.slice(whole.length).trimEnd().split('\n');
  const closed = lines.at(-1)?.trim() === fence;
  if (closed) lines.pop();
  // A bare fence that closes none inside ends the one around: then there is more after it, and it is not the whole.
  let inside = false;
  for (const line of lines) {
    const [, info] = /^\s*`{3,}(.*)$/.exec(line) ?? [];
    if (info === undefined) continue;
    if (!inside && info.trim() === '') return text;
    inside = !inside || info.trim() !== '';
  }
  return lines.join('\n');
}

function withoutBlanks(text: string): string {
  const lines = text.split('\n').map((line) => {
    const trimmed = line.trimEnd();
    return trimmed !== '' && line.startsWith('  ', trimmed.length) ? `${trimmed}  ` : trimmed;
  });
  // A line break is one only before another line.
  const kept = lines.map((line, i) => (lines[i + 1] ? line : line.trimEnd()));
  return kept
    .slice(kept.findIndex((line) => line !== ''))
    .join('\n')
    .trimEnd();
}

/** The end of a text from `start` on, where every character is the one `unit` before it. */
interface Loop {
  start: number;
  unit: number;
}

/** A page is never so long; only its end is looked at. */
const LOOKED_AT = 30_000;

/**
 * The loop a text ends with, of the smallest unit, or `null`. From eight times on for lines with words. Inside one line
 * only what fills 200 characters: a row of a table has many equal cells. Rows of dots, rules and empty rows of forms are
 * as long on paper.
 */
function endLoop(text: string): Loop | null {
  const end = text.slice(-LOOKED_AT);
  const same = samePrefixes(Uint16Array.from({ length: end.length }, (_, i) => end.charCodeAt(end.length - 1 - i)));
  for (let unit = 1; unit <= end.length / 8; unit++) {
    const length = unit + (same[unit] ?? 0);
    if (length < 8 * unit) continue;
    const once = end.slice(-unit);
    const words = /[\p{L}\p{N}]/u.test(once);
    const enough = once.includes('\n') ? length >= (words ? 8 : 40) * unit : length >= (words ? 200 : 1_000);
    if (enough) return { start: text.length - length, unit };
  }
  return null;
}

/** For each place the length of what is there that equals the beginning: the Z algorithm, linear. */
function samePrefixes(codes: Uint16Array): Uint32Array {
  const same = new Uint32Array(codes.length);
  for (let i = 1, left = 0, right = 0; i < codes.length; i++) {
    let n = i < right ? Math.min(right - i, same[i - left] ?? 0) : 0;
    while (i + n < codes.length && codes[n] === codes[i + n]) n++;
    same[i] = n;
    if (i + n > right) {
      left = i;
      right = i + n;
    }
  }
  return same;
}

/** Where the first time ends: with its line if lines are repeated, else with its word. */
function endOfFirst(text: string, { start, unit }: Loop): number {
  let end = start + unit;
  if (text.slice(start, end).includes('\n')) {
    // The loop may begin in the middle of a line, with what its lines and the one before have in common at their ends.
    const line = text.indexOf('\n', end - 1);
    return line < 0 ? text.length : line;
  }
  while (end < start + 2 * unit && /[\p{L}\p{N}]{2}/u.test(text.slice(end - 1, end + 1))) end++;
  return end;
}
