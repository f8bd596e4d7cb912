/** A text that was expected and the one that came. */
export interface Pair {
  expected: string;
  got: string;
}

/**
 * Character error rate: edits (insert, delete, replace one character) that make `got` of `expected`, of all pairs together,
 * over the characters expected. Line breaks and runs of white space count as one space.
 */
export function characterErrorRate(pairs: readonly Pair[]): number {
  return rate(pairs, (text) => [...text.trim().replace(/\s+/g, ' ')]);
}

/** Word error rate: the same in words, whatever their case and without punctuation. */
export function wordErrorRate(pairs: readonly Pair[]): number {
  return rate(pairs, (text) => text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? []);
}

function rate(pairs: readonly Pair[], split: (text: string) => string[]): number {
  let [errors, length] = [0, 0];
  for (const { expected, got } of pairs) {
    const from = split(expected);
    errors += editDistance(from, split(got));
    length += from.length;
  }
  return length === 0 ? 0 : errors / length;
}

/** Levenshtein's distance, in memory of one row. */
export function editDistance(from: readonly string[], to: readonly string[]): number {
  const row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    let diagonal = row[0] ?? 0;
    row[0] = i;
    for (let j = 1; j <= to.length; j++) {
      const above = row[j] ?? 0;
      const same = from[i - 1] === to[j - 1];
      row[j] = Math.min(above + 1, (row[j - 1] ?? 0) + 1, diagonal + (same ? 0 : 1));
      diagonal = above;
    }
  }
  return row[to.length] ?? 0;
}
