import { isAlphanumeric, isAsciiLetter, isDigit, type Span } from './span.ts';

/** Length by country: the IBAN registry of SWIFT (ISO 13616), and countries that use the format without being in it. */
const LENGTHS = new Map(
  (
    'AD24 AE23 AL28 AO25 AT20 AZ28 BA20 BE16 BF28 BG22 BH22 BI27 BJ28 BR29 BY28 CF27 CG27 CH21 CI28 CM27 CR22 CV25 CY28 ' +
    'CZ24 DE22 DJ27 DK18 DO28 DZ26 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GA27 GB22 GE22 GI23 GL18 GQ27 GR27 GT28 GW25 HN28 ' +
    'HR21 HU28 IE22 IL23 IQ23 IR26 IS26 IT27 JO30 KM27 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MA28 MC27 MD24 ME22 ' +
    'MG27 MK19 ML28 MN20 MR27 MT31 MU30 MZ25 NE28 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 ' +
    'SD18 SE24 SI19 SK24 SM27 SN28 SO23 ST25 SV28 TD27 TG28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30'
  )
    .split(' ')
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
);

/**
 * International bank account numbers: a country, its length, the check digits right (ISO 7064 mod 97-10); in one piece
 * or in groups with single spaces or hyphens between, capital or not. A bounded number of steps from each beginning.
 */
export function findIbans(text: string): Span[] {
  const spans: Span[] = [];
  // From the check digits: there are fewer digits than letters.
  for (const digits = /[0-9]{2}/g; digits.test(text); ) {
    const at = digits.lastIndex - 4;
    const end = at < 0 ? 0 : ibanEnd(text, at);
    if (end === 0) {
      // Of three digits the last two may be the ones.
      digits.lastIndex--;
      continue;
    }
    spans.push({ start: at, end, kind: 'iban' });
    digits.lastIndex = end;
  }
  return spans;
}

function ibanEnd(text: string, at: number): number {
  const isStart =
    isDigit(text.charCodeAt(at + 2)) &&
    isAsciiLetter(text.charCodeAt(at)) &&
    isAsciiLetter(text.charCodeAt(at + 1)) &&
    isDigit(text.charCodeAt(at + 3)) &&
    !(at > 0 && isAlphanumeric(text.charCodeAt(at - 1)));
  if (!isStart) return 0;
  const length = LENGTHS.get(text.slice(at, at + 2).toUpperCase());
  if (length === undefined) return 0;
  let letters = '';
  let end = at;
  while (letters.length < length) {
    const code = text.charCodeAt(end);
    const isSeparator = (code === 0x20 || code === 0x2d) && isAlphanumeric(text.charCodeAt(end + 1));
    if (isAlphanumeric(code)) letters += text[end];
    else if (!isSeparator || letters === '') return 0;
    end++;
  }
  if (isAlphanumeric(text.charCodeAt(end))) return 0;
  return isRight(letters.toUpperCase()) ? end : 0;
}

function isRight(iban: string): boolean {
  let rest = 0;
  for (const letter of iban.slice(4) + iban.slice(0, 4)) {
    const value = Number.parseInt(letter, 36);
    rest = (value > 9 ? rest * 100 + value : rest * 10 + value) % 97;
  }
  return rest === 1;
}
