import { isAlphanumeric, type Span } from './span.ts';

/** Longest address looked at on either side of the `@`: more than the 64 and 255 that RFC 5321 allows. */
const MAX_LOCAL = 256;
const MAX_DOMAIN = 320;

/** What stands after `@` in file names of pictures and packages (`logo@2x.png`), and is no top-level domain. */
const FILE_ENDINGS = new Set(['png', 'jpg', 'jpeg', 'gif', 'svg', 'webp', 'avif', 'css', 'js', 'json', 'html', 'pdf']);

/**
 * E-mail addresses, in practice's form: letters, digits and `._%+'&~-` before the `@`, a domain with a dot after it, in
 * any script. From each `@` outwards, a bounded number of steps: linear in the text.
 */
export function findEmails(text: string): Span[] {
  const spans: Span[] = [];
  for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
    const start = localStart(text, at);
    if (start === at) continue;
    const end = domainEnd(text, at + 1);
    if (end > 0) spans.push({ start, end, kind: 'email' });
  }
  return spans;
}

function localStart(text: string, at: number): number {
  let start = at;
  const first = Math.max(0, at - MAX_LOCAL);
  while (start > first) {
    const code = text.charCodeAt(start - 1);
    if (isAlphanumeric(code) || "._%+'&~-".includes(text[start - 1] ?? '')) start--;
    else if (code >= 0x80) {
      const letter = letterBefore(text, start);
      // Scripts that set no spaces run on into an address, which is in Latin letters then.
      if (letter === '' || (UNSPACED.test(letter) && start < at && text.charCodeAt(start) < 0x80)) break;
      start -= letter.length;
    }
    // Markdown writes `john\_doe@…`.
    else if (code === 0x5c && text[start] === '_') start--;
    else break;
  }
  // Quotes, ampersands and hyphens around an address are not of it.
  while (start < at && "'&.-~".includes(text[start] ?? '')) start++;
  return start;
}

function domainEnd(text: string, from: number): number {
  let end = from;
  const last = Math.min(text.length, from + MAX_DOMAIN);
  while (end < last) {
    const code = text.charCodeAt(end);
    if (isAlphanumeric(code) || code === 0x2d || code === 0x2e) end++;
    else {
      const letter = code < 0x80 ? '' : letterAt(text, end);
      if (letter === '') break;
      end += letter.length;
    }
  }
  // From the right, leave off what cannot be the end of a domain, until what is left can be one.
  for (let labels = text.slice(from, end).split('.'); labels.length > 1; labels = labels.slice(0, -1)) {
    const top = withoutWhatRunsOn(labels.at(-1) ?? '');
    labels[labels.length - 1] = top;
    const whole = labels.every((label) => label !== '' && !label.startsWith('-'));
    if (whole && /^(?:[\p{L}\p{M}]{2,63}|xn--[a-z0-9-]{2,59})-*$/iu.test(top)) {
      if (FILE_ENDINGS.has(top.toLowerCase())) return 0;
      return from + labels.join('.').replace(/-+$/, '').length;
    }
  }
  return 0;
}

/** Scripts that set no spaces between words. */
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}]/u;
const RUNNING_ON = new RegExp(`^([a-z]{2,})${UNSPACED.source}.*$`, 'iu');

/** `com` of `com是我的`. */
const withoutWhatRunsOn = (top: string) => RUNNING_ON.exec(top)?.[1] ?? top;

/** A letter, mark or digit beyond ASCII, in one unit or two; '' if it is none: an emoji ends an address. */
function letterAt(text: string, at: number): string {
  const letter = String.fromCodePoint(text.codePointAt(at) ?? 0);
  return /^[\p{L}\p{M}\p{N}]$/u.test(letter) ? letter : '';
}

function letterBefore(text: string, at: number): string {
  const pair = /^[\udc00-\udfff]$/.test(text[at - 1] ?? '') && /^[\ud800-\udbff]$/.test(text[at - 2] ?? '');
  return letterAt(text, at - (pair ? 2 : 1));
}
