import confusables from 'unhomoglyph/data.json' with { type: 'json' };

/** What people write in the place of a letter. */
const LEET: Readonly<Record<string, string>> = {
  '0': 'o',
  '1': 'i',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '6': 'g',
  '7': 't',
  '8': 'b',
  '9': 'g',
  '@': 'a',
  $: 's',
  '!': 'i',
  '|': 'i',
  '+': 't',
  '€': 'e',
  '£': 'l',
  '(': 'c',
  '¢': 'c',
  '*': '*',
};

/** Letters that hide nothing: `ß` is one letter that is written as two. */
const BEYOND: Readonly<Record<string, string>> = { ß: 'ss', æ: 'ae', œ: 'oe', ø: 'o', đ: 'd', ł: 'l' };

const INVISIBLE = /^[\p{Cf}\p{Mn}\p{Me}]$/u;
const LETTER = /^\p{L}$/u;

const known = new Map<string, string>();

/**
 * One character as the letters it stands for or looks like, in lower case; '' for what is not seen, `null` for what is no
 * letter. A letter of another script that looks Latin becomes Latin only if `latin`: words of that script are found as they are.
 * Look-alikes: Unicode's confusables (UTS #39), by `unhomoglyph`.
 */
export function foldCharacter(character: string, latin: boolean): string | null {
  const key = latin ? character : `=${character}`;
  const there = known.get(key);
  if (there !== undefined) return there === '\0' ? null : there;
  const folded = fold(character, latin);
  if (known.size < 200_000) known.set(key, folded ?? '\0');
  return folded;
}

/** Letters in black circles and squares, and those that flags are made of: Unicode has no other form for them. */
const ENCLOSED = [0x1f150, 0x1f170, 0x1f1e6];

function fold(character: string, latin: boolean): string | null {
  if (INVISIBLE.test(character)) return '';
  const code = character.codePointAt(0) ?? 0;
  for (const first of ENCLOSED) if (code >= first && code < first + 26) return String.fromCharCode(97 + code - first);
  // Full-width, mathematical, circled letters are compatibility forms; marks come apart and go.
  const plain = character
    .normalize('NFKD')
    .replaceAll(/\p{Mn}/gu, '')
    .toLowerCase();
  const beyond = BEYOND[plain] ?? plain;
  if (/^[a-z]+$/.test(beyond)) return beyond;
  if (latin) {
    const alike = lookAlike(character) ?? lookAlike(plain);
    if (alike !== null) return alike;
  }
  return LETTER.test([...beyond][0] ?? '') ? beyond : null;
}

const ALIKE: Readonly<Record<string, string>> = confusables;

function lookAlike(character: string): string | null {
  // To Unicode a 1 looks like an l. What digits and signs stand for is said elsewhere.
  if (character.length === 1 && character.charCodeAt(0) < 128) return null;
  const alike = Object.hasOwn(ALIKE, character) ? ALIKE[character] : undefined;
  const plain = alike
    ?.normalize('NFKD')
    .replaceAll(/\p{Mn}/gu, '')
    .toLowerCase();
  return plain !== undefined && /^[a-z]+$/.test(plain) ? plain : null;
}

/** The letter that a digit or sign is written for, or `null`. */
export function leetLetter(character: string): string | null {
  return LEET[character] ?? null;
}

/** A word of a list as it is looked up: folded, without what is no letter. */
export function foldWord(word: string): string {
  const latin = /[a-z]/i.test(word);
  let folded = '';
  for (const character of word) folded += foldCharacter(character, latin) ?? (/[0-9]/.test(character) ? character : '');
  return folded;
}

/** `fuuuck` → `fuck`: the word with every letter once in a row. */
export function once(word: string): string {
  return word.replaceAll(/(.)\1+/gsu, '$1');
}
