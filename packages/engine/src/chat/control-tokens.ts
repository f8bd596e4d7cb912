/**
 * Keeps text that people wrote from being read as control tokens.
 *
 * llama.cpp matches control tokens by their text anywhere in a prompt, and user-defined ones (Gemma 4's `<|tool_call>`,
 * `<|"|>`) even where special tokens are switched off. There is no escape, so the text itself is broken up: U+2060
 * WORD JOINER, invisible and without a meaning of its own, goes in after the first character of each match.
 */
const JOINER = '\u2060';

/** Characters. No real token comes near; bounds what a strange vocabulary can make of the pattern. */
const LONGEST = 500;

export interface ControlTokenGuard {
  /** `text` with every control token in it broken up; the same string when there is none. */
  breakUp(text: string): string;
  /** Takes the joiners out again where an answer quotes broken-up text. */
  restore(text: string): string;
}

const guards = new WeakMap<readonly string[], Map<string, ControlTokenGuard>>();

/**
 * The guard for a vocabulary's control tokens and the media marker in use. Made once per list (by identity) and marker:
 * keep one list per model.
 */
export function controlTokenGuard(controlTokens: readonly string[], mediaMarker: string): ControlTokenGuard {
  let byMarker = guards.get(controlTokens);
  if (byMarker === undefined) {
    byMarker = new Map();
    guards.set(controlTokens, byMarker);
  }
  let guard = byMarker.get(mediaMarker);
  if (guard === undefined) {
    guard = makeGuard([...controlTokens, mediaMarker]);
    byMarker.set(mediaMarker, guard);
  }
  return guard;
}

function makeGuard(tokens: readonly string[]): ControlTokenGuard {
  // One-character and blank tokens cannot be told from plain text, and are never turn markers.
  const rests = Map.groupBy(
    new Set(tokens.filter((token) => [...token].length > 1 && token.length <= LONGEST && token.trim() !== '')),
    (token) => firstCharacter(token),
  );
  if (rests.size === 0) return { breakUp: (text) => text, restore: (text) => text };

  // Only the first character is consumed, the rest is looked ahead at: of overlapping tokens each one is found.
  // Case is ignored because templates change case (Gemma 4 writes a schema's types in capitals).
  const alternatives = (prefix: string) =>
    [...rests]
      .map(([first, group]) => {
        const tails = prefixTree(group.map((token) => token.slice(first.length)));
        return `(?<=${literal(first)})${prefix}(?=${tails})`;
      })
      .join('|');
  const firsts = new RegExp(`[${[...rests.keys()].map((first) => literal(first)).join('')}]`, 'iu');
  const broken = new RegExp(alternatives(''), 'giu');
  const joined = new RegExp(alternatives(JOINER), 'giu');
  return {
    breakUp: (text) => (firsts.test(text) ? text.replace(broken, JOINER) : text),
    restore: (text) => (text.includes(JOINER) ? text.replace(joined, '') : text),
  };
}

function firstCharacter(token: string): string {
  return String.fromCodePoint(token.codePointAt(0) ?? 0);
}

/** A pattern that matches just these characters, in and out of a character class. */
function literal(text: string): string {
  return [...text].map((character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`).join('');
}

/**
 * A pattern that matches any of the texts. Common beginnings are shared, so that the thousands of `<unused…>` tokens of a
 * real vocabulary cost a few steps per `<` and not thousands.
 */
function prefixTree(texts: readonly string[]): string {
  interface Node {
    next: Map<string, Node>;
    ends: boolean;
  }
  const root: Node = { next: new Map(), ends: false };
  for (const text of texts) {
    let node = root;
    for (const character of text) {
      let next = node.next.get(character);
      if (next === undefined) {
        next = { next: new Map(), ends: false };
        node.next.set(character, next);
      }
      node = next;
    }
    node.ends = true;
  }
  const pattern = (node: Node): string => {
    // A token that ends here matches whatever follows: longer tokens with this beginning need no branch of their own.
    if (node.ends) return '';
    const branches = [...node.next].map(([character, next]) => literal(character) + pattern(next));
    return branches.length === 1 ? (branches[0] ?? '') : `(?:${branches.join('|')})`;
  };
  return pattern(root);
}
