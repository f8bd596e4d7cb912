import { deflateSync } from 'node:zlib';

/** Above it a text repeats itself: Whisper's `compression_ratio_threshold`. */
export const MAX_COMPRESSION_RATIO = 2.4;

/** Size of a text over its size compressed by zlib, as Whisper computes it. */
export function compressionRatio(text: string): number {
  const bytes = Buffer.from(text);
  return bytes.length === 0 ? 0 : bytes.length / deflateSync(bytes).length;
}

interface Loop {
  start: number;
  end: number;
  /** Length of what is repeated. */
  unit: number;
}

/**
 * A text with whatever it says over and over said once. People repeat themselves too: only what comes eight times and
 * more, or fills a hundred characters by coming five times, is a loop. A text without loops comes back as it is.
 */
export function collapseLoops(text: string): string {
  let chars = [...text];
  for (let loop = findLoop(chars); loop !== null; loop = findLoop(chars)) {
    const { start, end, unit } = loop;
    const rest = chars.slice(end);
    // In the middle, whole repetitions go, so that the rest follows as it followed the last one. At the end, the last
    // one is often cut off; there the first goes to the end of its word.
    let kept = start + unit;
    if (rest.length > 0) kept += (end - start) % unit;
    else while (kept < start + 2 * unit && isLetter(chars[kept - 1]) && isLetter(chars[kept])) kept++;
    chars = [...chars.slice(0, kept), ...rest];
  }
  return chars.join('').trimEnd();
}

function findLoop(chars: readonly string[]): Loop | null {
  // Texts of a chunk are short; what is beyond is not searched for very long units, which would take quadratic time.
  const longest = Math.min(Math.floor(chars.length / 5), 1_000);
  for (let unit = 1; unit <= longest; unit++) {
    let same = 0;
    for (let i = unit; i <= chars.length; i++) {
      if (i < chars.length && chars[i] === chars[i - unit]) {
        same++;
        continue;
      }
      if (isLoop(unit, same + unit)) return { start: i - same - unit, end: i, unit };
      same = 0;
    }
  }
  return null;
}

function isLoop(unit: number, covered: number): boolean {
  return (covered >= 8 * unit && covered >= 24) || (covered >= 5 * unit && covered >= 100);
}

function isLetter(char: string | undefined): boolean {
  return char !== undefined && /[\p{L}\p{M}\p{N}]/u.test(char);
}
