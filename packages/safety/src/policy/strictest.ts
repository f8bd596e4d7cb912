import { ACTIONS } from '../port.ts';
import { canonicalJson } from './canonical.ts';
import { Filters, type Policy, Thresholds } from './schema.ts';

/**
 * One policy that is at least as strict as both: every filter of either looks, with the options of both, and about every
 * finding is done what the stricter of the two does. Order and grouping make no difference, nor does saying one twice:
 * `strictest(a, b)` and `strictest(b, a)` have the same hash.
 *
 * Options: kinds, regions, word lists, words, guards, moderation models and rules are united; a word is allowed only if
 * every policy that looks for words allows it; of two windows and two time-outs the smaller holds; withheld content is
 * quarantined if either says so.
 */
export function strictest(floor: Policy, chosen: Policy): Policy {
  return {
    version: 1,
    name: union(floor.name.split('+'), chosen.name.split('+')).join('+'),
    filters: unite(floor.filters, chosen.filters),
    categories: merged(floor.categories, chosen.categories, smallest),
    timeout_seconds: Math.min(floor.timeout_seconds, chosen.timeout_seconds),
    withheld: floor.withheld === 'quarantine' ? 'quarantine' : chosen.withheld,
  };
}

/** Per action the smaller threshold. */
function smallest(a: Thresholds, b: Thresholds): Thresholds {
  const least = ACTIONS.map((action) => [action, Math.min(a[action] ?? 7, b[action] ?? 7)] as const);
  return Thresholds.parse(Object.fromEntries(least.filter(([, threshold]) => threshold < 7)));
}

function unite(a: Filters, b: Filters): Filters {
  const united = {
    personal_data: both(a.personal_data, b.personal_data, (x, y) => ({
      kinds: union(x.kinds, y.kinds),
      region: union(x.region, y.region),
    })),
    secrets: both(a.secrets, b.secrets, () => ({})),
    lexicon: both(a.lexicon, b.lexicon, (x, y) => ({
      lists: union(x.lists, y.lists),
      words: merged(x.words, y.words, union),
      allow: allowedByAll(x, y),
    })),
    guard: both(a.guard, b.guard, (x, y) => [...x, ...y]),
    // The held model is asked once: of two wordings one holds, whichever comes first of either.
    self_judge: both(a.self_judge, b.self_judge, (x, y) => (canonicalJson(x) >= canonicalJson(y) ? x : y)),
    moderations: both(a.moderations, b.moderations, (x, y) => [...x, ...y]),
    rules: both(a.rules, b.rules, (x, y) => [...x, ...y]),
  };
  // Into the form of every other policy: doubles gone, in order.
  return Filters.parse(Object.fromEntries(Object.entries(united).filter(([, options]) => options !== undefined)));
}

type Lexicon = Exclude<Filters['lexicon'], undefined>;

/** What looks for no words has no say in which are allowed. */
function allowedByAll(a: Lexicon, b: Lexicon): string[] {
  const looks = ({ lists, words }: Lexicon) => lists.length > 0 || Object.keys(words).length > 0;
  if (!looks(a)) return b.allow;
  if (!looks(b)) return a.allow;
  const allowed = new Set(b.allow);
  return a.allow.filter((word) => allowed.has(word));
}

function both<T>(a: T | undefined, b: T | undefined, unite: (a: T, b: T) => T): T | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : unite(a, b);
}

/** Every key of either; what both have is made one. */
function merged<T>(a: Record<string, T>, b: Record<string, T>, unite: (a: T, b: T) => T): Record<string, T> {
  const all = new Map(Object.entries(a));
  for (const [key, value] of Object.entries(b)) {
    const there = all.get(key);
    all.set(key, there === undefined ? value : unite(there, value));
  }
  return Object.fromEntries(all);
}

function union<T extends string>(a: readonly T[], b: readonly T[]): T[] {
  return [...new Set([...a, ...b])].sort();
}
