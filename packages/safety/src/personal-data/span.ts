export const KINDS = ['email', 'phone', 'card', 'iban', 'national_id'] as const;
export type Kind = (typeof KINDS)[number];

/** Something found in a text: from `start` up to, not including, `end`. */
export interface Span {
  start: number;
  end: number;
  kind: Kind;
}

export const isDigit = (code: number) => code >= 0x30 && code <= 0x39;
export const isAsciiLetter = (code: number) => (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);
export const isAlphanumeric = (code: number) => isDigit(code) || isAsciiLetter(code);
