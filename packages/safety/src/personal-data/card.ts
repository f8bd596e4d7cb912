import type { Group, Run } from './digits.ts';
import type { Span } from './span.ts';

const SHORTEST = 14;
const LONGEST = 19;

/**
 * Prefixes and lengths of the issuers (ISO/IEC 7812 numbers as the networks publish them). Left out on purpose: the
 * 13-digit Visa and the short Maestro numbers, which nobody has been given for decades and which look like bar codes.
 */
const ISSUERS: [from: number, to: number, lengths: number[]][] = [
  [4, 4, [16, 19]], // Visa
  [51, 55, [16]], // Mastercard
  [2221, 2720, [16]],
  [34, 34, [15]], // American Express
  [37, 37, [15]],
  [300, 305, [14, 16, 17, 18, 19]], // Diners Club
  [3095, 3095, [14, 16, 17, 18, 19]],
  [36, 36, [14, 15, 16, 17, 18, 19]],
  [38, 39, [14, 16, 17, 18, 19]],
  [3528, 3589, [16, 17, 18, 19]], // JCB
  [6011, 6011, [16, 17, 18, 19]], // Discover
  [644, 649, [16, 17, 18, 19]],
  [65, 65, [16, 17, 18, 19]],
  [62, 62, [16, 17, 18, 19]], // UnionPay
  [81, 82, [16, 17, 18, 19]], // UnionPay, RuPay
  [60, 60, [16]], // RuPay
  [508, 508, [16]],
  [2200, 2204, [16, 17, 18, 19]], // Mir
  [50, 50, [16, 17, 18, 19]], // Maestro
  [56, 59, [16, 17, 18, 19]],
  [63, 63, [16, 17, 18, 19]],
  [67, 67, [16, 17, 18, 19]],
];

/** Payment cards among the digits: an issuer's prefix and length, the right check digit, and written as cards are. */
export function findCards(run: Run): Span[] {
  const { groups } = run;
  const spans: Span[] = [];
  for (let i = 0; i < groups.length; i++) {
    const found = lastGroupOfCard(groups, i);
    const first = groups[i];
    const last = groups[found];
    if (first === undefined || last === undefined) continue;
    spans.push({ start: first.start, end: last.end, kind: 'card' });
    i = found;
  }
  return spans;
}

/** Where the longest card that begins with group `i` ends, or −1. */
function lastGroupOfCard(groups: readonly Group[], i: number): number {
  const first = groups[i];
  // Not the digits after a decimal point: one printed fraction in thirty would pass for a card.
  if (first === undefined || !'234568'.includes(first.digits[0] ?? '') || (i > 0 && first.before === '.')) return -1;
  // No layout begins with one or two digits, but for the row of single ones.
  if (first.digits.length < 3 && (i > 0 || first.digits.length === 2)) return -1;
  const joint = groups[i + 1]?.before ?? '';
  const joined = joint === ' ' || joint === '-' || joint === '.';
  let digits = '';
  let found = -1;
  for (let j = i; j < groups.length; j++) {
    const group = groups[j];
    if (group === undefined || (j > i && !(joined && group.before === joint))) break;
    digits += group.digits;
    if (digits.length > LONGEST) break;
    if (digits.length >= SHORTEST && isWrittenLikeACard(groups, i, j, joint) && isCard(digits)) found = j;
  }
  return found;
}

/** True for digits that an issuer may have given out. */
export function isCard(digits: string): boolean {
  const fits = ISSUERS.some(([from, to, lengths]) => {
    const prefix = Number(digits.slice(0, String(from).length));
    return prefix >= from && prefix <= to && lengths.includes(digits.length);
  });
  return fits && luhn(digits);
}

/** The check digit of ISO/IEC 7812-1, annex B. */
function luhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 0x30;
    sum += i % 2 === 0 ? digit : digit > 4 ? 2 * digit - 9 : 2 * digit;
  }
  return sum % 10 === 0;
}

/** The groups cards are printed in. */
const LAYOUTS = /^(?:4-4-4-4(?:-[123])?|4-6-[45]|6-1[03]|4-4-5|8-8|4-12)$/;

/**
 * In one piece; in printed groups; with hyphens in any groups of three and more, of which only the last may be shorter;
 * or digit by digit, if nothing else stands in the row: columns of single figures are no cards.
 */
function isWrittenLikeACard(groups: readonly Group[], i: number, j: number, joint: string): boolean {
  if (i === j) return true;
  const lengths = groups.slice(i, j + 1).map((g) => g.digits.length);
  if (LAYOUTS.test(lengths.join('-'))) return true;
  if (joint === '-') return lengths.slice(0, -1).every((n) => n >= 3);
  return i === 0 && j === groups.length - 1 && lengths.every((n) => n === 1);
}
