import type { Filter } from '../port.ts';
import type { FindOptions } from './find.ts';
import { region } from './phone-plans.ts';
import { redact } from './redact.ts';
import { KINDS, type Kind } from './span.ts';

export interface PersonalDataOptions {
  /** `redact` replaces what is found by `[email]`, `[phone]`, `[card]`, `[iban]`; `block` delivers nothing of the text. */
  mode: 'redact' | 'block';
  /** What to look for. Default: all. */
  kinds?: readonly Kind[];
  /** Country (ISO 3166-1 alpha-2) in which phone numbers without a country code are read. Without: only those with one. */
  phoneRegion?: string;
}

/**
 * A filter for e-mail addresses, phone numbers, payment cards and bank accounts (IBAN). It computes, and asks nobody.
 * Category `personal_data`: `{filtered, detected, redacted}`.
 * @throws Error for an unknown phone region.
 */
export function personalData({ mode, kinds = KINDS, phoneRegion }: PersonalDataOptions): Filter {
  const options: FindOptions = {
    kinds: new Set(kinds),
    home: phoneRegion === undefined ? null : region(phoneRegion),
  };
  return {
    name: 'personal_data',
    async inspect({ text }) {
      const redacted = redact(text, options);
      if (redacted === null)
        return { action: 'pass', results: { personal_data: { filtered: false, detected: false } } };
      if (mode === 'block') return { action: 'block', results: { personal_data: { filtered: true, detected: true } } };
      return {
        action: 'redact',
        text: redacted,
        results: { personal_data: { filtered: false, detected: true, redacted: true } },
      };
    },
  };
}
