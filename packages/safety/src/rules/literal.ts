/**
 * A text that every match of the pattern must hold, or `null` if none is plain to see: the longest run of letters, digits, `-`
 * and `_` that stands outside all groups and is not optional. Texts without it need no look by the matcher. In doubt, `null`.
 * With the flag `i` it is in small letters; see `Held`.
 */
export function literalOf(pattern: string, flags = ''): string | null {
  // Flags and escapes that are more than a class or a sign (`\x41`, `\pL`, `\Q…`) are not read here.
  if (/\(\?|\\[^dDwWsSbB\W]/.test(pattern)) return null;
  let depth = 0;
  let run = '';
  let best = '';
  const end = () => {
    if (run.length > best.length) best = run;
    run = '';
  };
  for (const [token] of pattern.matchAll(TOKEN)) {
    const quantifier = token.at(1) === undefined || /^[\\[]/.test(token) ? '' : token.slice(1);
    const char = token.charAt(0);
    // Alternatives: any of them may be it. Inside a group they are of what is not read anyway.
    if (char === '|' && token.length === 1 && depth === 0) return null;
    if (char === '(') depth++;
    if (char === ')') depth--;
    if (depth !== 0 || !/[\w-]/.test(char) || /^[?*{]/.test(quantifier)) end();
    else {
      run += char;
      if (quantifier !== '') end();
    }
  }
  end();
  if (best.length < 2) return null;
  return flags.includes('i') ? best.toLowerCase() : best;
}

/** A text, and in small letters once that was asked for. */
export class Held {
  readonly #text: string;
  #lower: string | null = null;

  constructor(text: string) {
    this.#text = text;
  }

  /** Whether the literal of a pattern is in the text; `folded`: in whatever case. May say so where it is not. */
  has(literal: string, folded: boolean): boolean {
    if (!folded) return this.#text.includes(literal);
    // Beside capitals, RE2 takes two other signs for letters of ASCII: the Kelvin sign, whose small letter is k, and the long s.
    this.#lower ??= this.#text.toLowerCase().replaceAll('ſ', 's');
    return this.#lower.includes(literal);
  }
}

/** An escape, a class or one character, with what says how often. */
const TOKEN = /(?:\\[\s\S]|\[\^?\]?(?:\[:\^?[a-z]+:\]|\\[\s\S]|[^\]\\])*\]|[\s\S])(?:[*+?]|\{\d+(?:,\d*)?\})*/g;
