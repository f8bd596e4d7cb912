/**
 * A text that every match of the pattern must hold, or `null` if none is plain to see: the longest run of letters, digits, `-`
 * and `_` on the top level that is not optional. Texts without it need no look by the matcher.
 */
export function literalOf(pattern: string): string | null {
  if (pattern.includes('|') || pattern.includes('(?')) return null;
  let depth = 0;
  let run = '';
  let best = '';
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i] ?? '';
    const next = pattern[i + 1] ?? '';
    const optional = next === '?' || next === '*' || next === '{';
    if (char === '\\') {
      i++;
      run = end(run);
    } else if (char === '[') {
      i = classEnd(pattern, i);
      run = end(run);
    } else if (char === '(') {
      depth++;
      run = end(run);
    } else if (char === ')') {
      depth--;
      run = end(run);
    } else if (depth === 0 && /[A-Za-z0-9_-]/.test(char) && !optional) {
      run += char;
      if (next === '+') run = end(run);
    } else run = end(run);
  }
  end(run);
  return best.length >= 2 ? best : null;

  function end(text: string): string {
    if (text.length > best.length) best = text;
    return '';
  }
}

function classEnd(pattern: string, from: number): number {
  for (let i = from + 1; i < pattern.length; i++) {
    if (pattern[i] === '\\') i++;
    else if (pattern[i] === ']' && i > from + 1) return i;
  }
  return pattern.length;
}
