import { isJson } from '../mask.ts';
import type { Filter, Finding } from '../port.ts';
import { type FindOptions, findPersonalData } from './find.ts';
import { findInJson } from './json-spans.ts';
import { region as regionOf } from './phone-plans.ts';
import { KINDS, type Kind, type Span } from './span.ts';

export interface PersonalDataOptions {
  /** What to look for. Default: all. */
  kinds?: readonly Kind[];
  /** Countries (ISO 3166-1 alpha-2) in which phone numbers without a country code are read. Without: only those with one. */
  region?: string | readonly string[];
}

/** A bank account or an id opens more doors than an address. */
const SEVERITY = { email: 2, phone: 2, card: 4, iban: 4, national_id: 4 } as const satisfies Record<Kind, number>;

/**
 * A filter for e-mail addresses, phone numbers, payment cards, bank accounts (IBAN) and national ids. It computes, and asks
 * nobody. Category `personal_data`; severity 2 for e-mail and phones, 4 for the others; the label is the kind.
 * @throws Error for an unknown region.
 */
export function personalData({ kinds = KINDS, region = [] }: PersonalDataOptions = {}): Filter {
  const wanted = new Set(kinds);
  const regions = typeof region === 'string' ? [region] : region;
  // One look for each country: what is a number in one of them is found.
  const looks: FindOptions[] = (regions.length === 0 ? [null] : regions.map(regionOf)).map((home, i) => ({
    kinds: i === 0 ? wanted : new Set([...wanted].filter((kind) => kind === 'phone')),
    home,
  }));
  return {
    name: 'personal_data',
    version: '2',
    categories: ['personal_data'],
    exact: true,
    inspect: async (segments) => segments.map(({ text }) => findingsOf(text, looks)),
  };
}

function findingsOf(text: string, looks: readonly FindOptions[]): Finding[] {
  const spans = looks.flatMap((options) =>
    isJson(text) ? findInJson(text, options) : findPersonalData(text, options),
  );
  const byKind = Map.groupBy(spans, ({ kind }) => kind);
  return [...byKind].map(([kind, found]) => ({
    category: 'personal_data',
    severity: SEVERITY[kind],
    score: 1,
    label: kind,
    spans: apart(found),
  }));
}

/** In order, without overlaps, without the kind. */
function apart(spans: readonly Span[]): { start: number; end: number }[] {
  const kept: { start: number; end: number }[] = [];
  for (const { start, end } of spans.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const last = kept.at(-1);
    if (last === undefined || start >= last.end) kept.push({ start, end });
    else last.end = Math.max(last.end, end);
  }
  return kept;
}
