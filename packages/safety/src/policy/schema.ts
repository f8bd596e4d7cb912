import { z } from 'zod';
import { GUARD_FORMATS } from '../guard/formats.ts';
import { LISTS } from '../lexicon/list-names.ts';
import { COUNTRIES } from '../personal-data/countries.ts';
import { KINDS } from '../personal-data/span.ts';
import type { Action } from '../port.ts';
import { Category, SEXUAL_MINORS, Severity } from '../taxonomy.ts';
import { canonicalJson } from './canonical.ts';

/**
 * The policy: which filters look, and what is done about what they find. `Policy` reads a file's short forms and gives the
 * resolved form, with everything written out and sets in order. That is plain JSON, and `Policy` reads it back unchanged.
 */

/** Order means nothing in these lists, so two policies that say the same are the same. */
const set = <T extends z.ZodType<string>>(item: T, most: number) =>
  z
    .array(item)
    .max(most)
    .transform((items) => [...new Set(items)].sort());

/** The same for lists of options: of those with one key, `both` makes one. */
const distinct =
  <T>(keyOf: (item: T) => string, both: (a: T, b: T) => T = (a) => a) =>
  (items: T[]): T[] => {
    const byKey = new Map<string, T>();
    for (const item of items) {
      const there = byKey.get(keyOf(item));
      byKey.set(keyOf(item), there === undefined ? item : both(there, item));
    }
    return [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, item]) => item);
  };

/** One, or a list of them. */
const oneOrMore = <T extends z.ZodType>(list: T) =>
  z.preprocess((value) => (value === undefined || Array.isArray(value) ? value : [value]), list);

const Text = z
  .string()
  .max(1_000)
  .regex(/[\p{L}\p{N}\p{S}]/u, 'must have a letter, a digit or a symbol in it');

export const personalDataShape = {
  kinds: set(z.enum(KINDS), 100).default([...KINDS].sort()),
  /** Countries in which numbers without a country code are read. None: only numbers that say their country. */
  region: oneOrMore(
    set(
      z.string().refine((country) => COUNTRIES.has(country), 'is no country. Write two capital letters such as DE'),
      20,
    ),
  ).default([]),
};

export const lexiconShape = {
  lists: set(z.enum(LISTS), 100).default([]),
  words: z.record(Category, set(Text, 100_000)).default({}),
  /** Words that are none of these, whatever the lists say. Not for the minors check: nothing is allowed there. */
  allow: set(Text, 100_000).default([]),
};

export const guardShape = {
  format: z.enum(GUARD_FORMATS),
  /** Longest piece of an answer that is judged at once, in tokens of the guard model. */
  window: z.number().int().min(64).max(100_000).default(2_000),
};

/** Models that were trained on other words for it are asked in those. */
export const selfJudgeShape = {
  question: z.string().min(1).max(2_000).exactOptional(),
  safe: z.string().min(1).max(40).exactOptional(),
  unsafe: z.string().min(1).max(40).exactOptional(),
};

export const moderationsShape = {
  model: z.string().min(1).max(200).default('omni-moderation-latest'),
};

export const ruleShape = {
  name: z.string().regex(/^[a-z0-9_]{1,40}$/, 'must be 1 to 40 of a-z, 0-9 and _'),
  /** A regular expression of RE2. */
  pattern: z.string().min(1).max(10_000).exactOptional(),
  flags: z
    .string()
    .regex(
      /^[ims]{0,3}$/,
      "must be of 'i' (letters of either case), 'm' (^ and $ at lines) and 's' (. is any character)",
    )
    .exactOptional(),
  /** A JSON schema: the rule finds answers that do not fit it. */
  schema: z.record(z.string(), z.json()).exactOptional(),
  category: Category,
  severity: Severity,
};

const Rule = z.strictObject(ruleShape).transform((rule, context): PatternRule | SchemaRule => {
  const { pattern, flags, schema, ...rest } = rule;
  if (pattern !== undefined && schema === undefined) return { ...rest, pattern, ...(flags ? { flags } : {}) };
  if (schema !== undefined && pattern === undefined && flags === undefined) return { ...rest, schema };
  const message =
    pattern !== undefined
      ? 'has both pattern and schema. Make two rules of it'
      : schema !== undefined
        ? 'has flags, which go with pattern only. Remove them'
        : 'has neither pattern nor schema. Add one';
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

interface RuleBase {
  name: string;
  category: Category;
  severity: Severity;
}
export interface PatternRule extends RuleBase {
  pattern: string;
  flags?: string;
}
export interface SchemaRule extends RuleBase {
  schema: Record<string, z.core.util.JSONType>;
}

const Guard = z.strictObject(guardShape);
type Guard = z.infer<typeof Guard>;
const formatOf = ({ format }: Guard) => format;
const smallerWindow = (a: Guard, b: Guard): Guard => (a.window <= b.window ? a : b);

const Moderations = z.strictObject(moderationsShape);

export const filterShapes = {
  personal_data: z.strictObject(personalDataShape).exactOptional(),
  secrets: z.strictObject({}).exactOptional(),
  lexicon: z
    .strictObject(lexiconShape)
    .transform(({ lists, words, allow }) => {
      const some = Object.entries(words).filter(([, list]) => list.length > 0);
      // Without words to look for there is nothing to allow: one way to say so.
      return { lists, words: Object.fromEntries(some), allow: lists.length + some.length === 0 ? [] : allow };
    })
    .exactOptional(),
  /** Several where policies for different guard models meet. */
  guard: oneOrMore(z.array(Guard).min(1).max(100).transform(distinct(formatOf, smallerWindow))).exactOptional(),
  self_judge: z.strictObject(selfJudgeShape).exactOptional(),
  moderations: oneOrMore(
    z
      .array(Moderations)
      .min(1)
      .max(100)
      .transform(distinct(({ model }) => model)),
  ).exactOptional(),
  rules: z.array(Rule).max(10_000).transform(distinct<PatternRule | SchemaRule>(canonicalJson)).exactOptional(),
};

export const Filters = z.strictObject(filterShapes);
export type Filters = z.infer<typeof Filters>;

export const thresholdsShape = {
  annotate: Severity.exactOptional(),
  redact: Severity.exactOptional(),
  block: Severity.exactOptional(),
};

/** From which severity on something is done. `redact` is short for `{redact: 1}`. */
export const Thresholds = z.preprocess(
  (value) => (isAction(value) ? { [value]: 1 } : value),
  z
    .strictObject(thresholdsShape)
    .refine((thresholds) => Object.keys(thresholds).length > 0, 'is empty. Say what is done: annotate, redact or block')
    .transform(effective),
);
export type Thresholds = { -readonly [A in Action]?: Severity };

function isAction(value: unknown): value is Action {
  return typeof value === 'string' && Object.hasOwn(thresholdsShape, value);
}

/** Without thresholds that never decide, as a stronger action begins there or before. */
function effective({ annotate = 7, redact = 7, block = 7 }: Thresholds): Thresholds {
  return {
    ...(annotate < redact && annotate < block ? { annotate } : {}),
    ...(redact < block ? { redact } : {}),
    ...(block < 7 ? { block } : {}),
  };
}

/** What is done about sexual content that involves minors, whatever the policy says. */
export const MINORS: Thresholds = { block: 1 };

export const Categories = z
  .record(Category, Thresholds)
  .transform((categories): Record<Category, Thresholds> => ({ ...categories, [SEXUAL_MINORS]: MINORS }));

export const policyShape = {
  version: z.literal(1),
  name: z.string().regex(/^[\w.-]{1,64}(\+[\w.-]{1,64})*$/, 'must be 1 to 64 of letters, digits, . _ and -'),
  filters: Filters.prefault({}),
  categories: Categories.prefault({}),
  /** Longest one filter may take for one answer. */
  timeout_seconds: z.number().min(0.1).max(3_600).default(60),
  /** What becomes of withheld content: gone, or kept encrypted in `quarantine/`. */
  withheld: z.enum(['drop', 'quarantine']).default('drop'),
};

export const Policy = z.strictObject(policyShape);
export type Policy = z.infer<typeof Policy>;
