import type { Group, Run } from './digits.ts';
import { isInternational, isLikeInternational, type Region } from './phone-plans.ts';
import { isAlphanumeric, type Span } from './span.ts';

/** E.164 allows 15 digits; `00` or `(0)` may come on top. */
const MOST_DIGITS = 18;
const FEWEST_DIGITS = 7;
/** Of a number that only looks like one: fewer are sums and scores. */
const LEAST_LIKELY = 9;
const MOST_GROUPS = 8;

/** Words that say that the number after them is a phone's, in the languages most documents are in. Not our own `[phone]`. */
const SAYS_PHONE =
  /phone(?!\])|\btel(?![a-z])|telef|teléf|téléph|\bmobi|móvil|\bcell|celul|\bhandy|\bcall\b|\bfax|\bsms\b|whatsapp|hotline|dial|номер|тел|电话|電話|手机|전화|☎|📞|📱/iu;
const LOOK_BACK = 32;

/**
 * Phone numbers among the digits of `text`. With `+` or a way out of the country, any number that can exist. Without,
 * those of `home`, if they are written as phone numbers are (usual groups, area code in brackets, leading 0) and not as
 * dates or amounts; a bare row of digits only where a word before it, or `label`, says that it is a phone's.
 */
export function findPhones(text: string, run: Run, home: Region | null, label: string): Span[] {
  const spans: Span[] = [];
  const { groups } = run;
  let said: boolean | null = null;
  const saysPhone = () => (said ??= SAYS_PHONE.test(label) || SAYS_PHONE.test(lookBack(text, run)));
  for (let i = 0; i < groups.length; i++) {
    if (!mayStart(text, run, i)) continue;
    const last = lastGroupOfPhone(run, i, home, saysPhone);
    const [from, to] = [groups[i], groups[last]];
    if (from === undefined || to === undefined) continue;
    spans.push({ start: startOf(from, run.plus && i === 0), end: to.end, kind: 'phone' });
    i = last;
  }
  return spans;
}

/** Where the longest phone number that begins with group `i` ends, or −1. */
function lastGroupOfPhone(run: Run, i: number, home: Region | null, saysPhone: () => boolean): number {
  const { groups } = run;
  const first = groups[i];
  if (first === undefined || (!(run.plus && i === 0) && !mayBegin(first, home) && !saysPhone())) return -1;
  let end = i;
  let length = 0;
  for (; end < groups.length && end < i + MOST_GROUPS; end++) {
    const more = groups[end]?.digits.length ?? 0;
    if (length + more > MOST_DIGITS) break;
    length += more;
  }
  for (let j = end - 1; j >= i && length >= FEWEST_DIGITS; j--) {
    if (isPhone(run, i, j, length, home, saysPhone)) return j;
    length -= groups[j]?.digits.length ?? 0;
  }
  return run.plus && i === 0 ? lastOfLikely(groups, end) : -1;
}

/** Where the longest row of digits after a `+` that could be a phone number ends, or −1. Only where none is one. */
function lastOfLikely(groups: readonly Group[], end: number): number {
  // Written as one number: not across brackets or slashes after the first group.
  let last = 0;
  while (last + 1 < end && /^[ .-]?$/.test(groups[last + 1]?.before ?? '/')) last++;
  for (let j = last; j >= 0; j--) {
    const digits = groups
      .slice(0, j + 1)
      .map((g) => g.digits)
      .join('');
    if (digits.length >= LEAST_LIKELY && isLikeInternational(digits)) return j;
  }
  return -1;
}

/** False where no number written as one begins like this. */
function mayBegin(first: Group, home: Region | null): boolean {
  return (
    first.digits.startsWith('0') || first.before.endsWith('(') || home?.firstLengths.has(first.digits.length) === true
  );
}

function isPhone(
  run: Run,
  i: number,
  j: number,
  length: number,
  home: Region | null,
  saysPhone: () => boolean,
): boolean {
  const { groups } = run;
  const international = run.plus && i === 0;
  // From the start of the row of digits, or after a word: `00` is a group of many other numbers.
  const abroad = !international && (groups[i]?.digits ?? '').startsWith('0') && (i === 0 || saysPhone());
  if (!international && !abroad && home?.lengths.has(length) !== true) return false;
  // 212-555-1234-99 is some other number.
  const after = groups[j + 1]?.before;
  if (!international && (after === '-' || after === '.')) return false;
  const window = groups.slice(i, j + 1);
  const digits = window.map((g) => g.digits).join('');
  if (international) return isInternational(digits);
  if (abroad && (home?.isDialledAbroad(digits) ?? (digits.startsWith('00') && isInternational(digits.slice(2)))))
    return true;
  if (home?.lengths.has(length) !== true) return false;
  return (isWrittenLikeAPhone(window, i, home) || saysPhone()) && !isDate(window) && home.isNational(digits);
}

function isWrittenLikeAPhone(window: Group[], i: number, home: Region): boolean {
  const [first, second] = window;
  if (first === undefined || second === undefined) return false;
  const separators = window.slice(1).map((g) => g.before);
  // A 0 at the start is a number dialled at home, however it is grouped; no amount begins like that.
  if (first.digits.startsWith('0')) return i === 0 && home.nationalPrefix === '0' ? !isDecimal(separators) : isFormat();
  if (isAmount(window, separators)) return false;
  if (first.before.endsWith('(') && second.before.startsWith(')')) return true;
  return isFormat();

  function isFormat() {
    return home.isFormat(window.map((g) => g.digits));
  }
}

/** `1 234 567 890`, `1.234.567`. */
function isAmount(window: Group[], separators: string[]): boolean {
  const thousands =
    window.slice(1).every((g) => g.digits.length === 3) &&
    (window[0]?.digits.length ?? 0) <= 3 &&
    separators.every((s) => s === ' ' || s === '.');
  return thousands || isDecimal(separators);
}

/** `0.7127837` */
function isDecimal(separators: string[]): boolean {
  return separators.length === 1 && separators[0] === '.';
}

/** A day, as `2024-01-15`, `15.01.2024` or `1/15/24`, perhaps with an hour after it. */
function isDate(window: Group[]): boolean {
  const [a, b, c] = window.map((g) => g.digits);
  if (a === undefined || b === undefined || c === undefined) return false;
  const [one, two] = [window[1]?.before, window[2]?.before];
  if (one !== two || (one !== '-' && one !== '.' && one !== '/')) return false;
  const dayAndMonth = (x: string, y: string) =>
    x.length <= 2 && y.length <= 2 && Math.max(+x, +y) <= 31 && Math.min(+x, +y) <= 12;
  return (/^(19|20)\d\d$/.test(a) && dayAndMonth(b, c)) || (/^((19|20)\d\d|\d\d)$/.test(c) && dayAndMonth(a, b));
}

/** Not in the middle of a word, a decimal, an amount of money or a code. */
function mayStart(text: string, run: Run, i: number): boolean {
  const group = run.groups[i];
  if (group === undefined) return false;
  if (i > 0) return group.before !== '-' && group.before !== '.';
  const start = startOf(group, run.plus);
  if (start === 0) return true;
  const code = text.charCodeAt(start - 1);
  if (run.plus) return !isAlphanumeric(code);
  return !isAlphanumeric(code) && !'.,_#$€£¥₹'.includes(text[start - 1] ?? '');
}

function startOf(first: Group, plus: boolean): number {
  let start = first.start;
  if (first.before.endsWith('(')) start--;
  if (plus) start--;
  return start;
}

function lookBack(text: string, run: Run): string {
  const start = run.groups[0]?.start ?? 0;
  return text.slice(Math.max(0, start - LOOK_BACK), start);
}
