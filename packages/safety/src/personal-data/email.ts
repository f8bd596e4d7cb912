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
    if (
      isAlphanumeric(code) ||
      isLetterBeyondAscii(text, start - 1, code) ||
      "._%+'&~-".includes(text[start - 1] ?? '')
    )
      start--;
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
    if (isAlphanumeric(code) || code === 0x2d || code === 0x2e || isLetterBeyondAscii(text, end, code)) end++;
    else break;
  }
  // From the right, leave off what cannot be the end of a domain, until what is left can be one.
  for (let labels = text.slice(from, end).split('.'); labels.length > 1; labels = labels.slice(0, -1)) {
    const top = labels.at(-1) ?? '';
    const whole = labels.every((label) => label !== '' && !label.startsWith('-'));
    if (whole && /^(?:[\p{L}\p{M}]{2,63}|xn--[a-z0-9-]{2,59})-*$/iu.test(top)) {
      if (FILE_ENDINGS.has(top.toLowerCase())) return 0;
      return from + labels.join('.').replace(/-+$/, '').length;
    }
  }
  return 0;
}

function isLetterBeyondAscii(text: string, at: number, code: number): boolean {
  if (code < 0x80) return false;
  // Halves of pairs are letters of scripts, mostly; emoji are too, and do no harm in an address.
  if (code >= 0xd800 && code <= 0xdfff) return true;
  return /^[\p{L}\p{N}]$/u.test(text[at] ?? '');
}
