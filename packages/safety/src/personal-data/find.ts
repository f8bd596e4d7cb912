import { findCards } from './card.ts';
import { digitRuns } from './digits.ts';
import { findEmails } from './email.ts';
import { findIbans } from './iban.ts';
import { findNationalIds } from './national-id.ts';
import { findPhones } from './phone.ts';
import type { Region } from './phone-plans.ts';
import { readable } from './readable.ts';
import type { Kind, Span } from './span.ts';

export interface FindOptions {
  kinds: ReadonlySet<Kind>;
  /** Where phone numbers without a country code are at home. */
  home: Region | null;
}

/** Without one of these, a letter beyond ASCII or an escape that may become one, there is nothing to find. */
const WORTH_A_LOOK = /[@0-9\x80-\uffff]|\\u/;

/**
 * Personal data in a text, from left to right, none overlapping; offsets are those of the text as given. `label` is what
 * a form would have printed before it: the key of a JSON value. Linear in the text's length.
 */
export function findPersonalData(original: string, { kinds, home }: FindOptions, label = ''): Span[] {
  if (!WORTH_A_LOOK.test(original)) return [];
  const { text, start, end } = readable(original);
  const spans: Span[] = [];
  if (kinds.has('email')) spans.push(...findEmails(text));
  if (kinds.has('iban')) spans.push(...findIbans(text));
  const phones: Span[] = [];
  if (kinds.has('card') || kinds.has('phone')) {
    for (const run of digitRuns(text)) {
      if (kinds.has('card')) for (const span of findCards(run)) spans.push(span);
      if (kinds.has('phone')) for (const span of findPhones(text, run, home, label)) phones.push(span);
    }
  }
  if (kinds.has('national_id')) spans.push(...findNationalIds(text, label));
  // What is surer comes first: an address may end in digits, a card's may hold those of a phone.
  return [...withoutOverlaps(spans, phones)].map((s) => ({ kind: s.kind, start: start(s.start), end: end(s.end - 1) }));
}

function withoutOverlaps(sure: Span[], phones: Span[]): Span[] {
  const byStart = (a: Span, b: Span) => a.start - b.start || b.end - a.end;
  const kept: Span[] = [];
  for (const span of sure.sort(byStart)) if (span.start >= (kept.at(-1)?.end ?? 0)) kept.push(span);
  let i = 0;
  const free = phones.sort(byStart).filter((phone) => {
    while ((kept[i]?.end ?? Number.POSITIVE_INFINITY) <= phone.start) i++;
    return phone.end <= (kept[i]?.start ?? Number.POSITIVE_INFINITY);
  });
  return [...kept, ...free].sort(byStart);
}
