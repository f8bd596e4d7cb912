import { createHash } from 'node:crypto';
import { type RE2JS, RE2Set } from 're2js';
import { canonicalJson } from '../policy/canonical.ts';
import type { Filter, Finding, Segment, Span } from '../port.ts';
import { compileRegexp, withFlags } from './regexp.ts';
import { type PatternRule, type Rule, RuleError, type SchemaRule } from './rule.ts';
import { compileSchema, type Fits } from './schema.ts';
import { looksAtEnds, spansOf } from './spans.ts';

/** Patterns that are searched for in one pass. Many more in one automaton would have too many states to be kept. */
const GROUP = 32;

interface Pattern {
  rule: PatternRule;
  regexp: RE2JS;
  anchored: boolean;
}

interface Group {
  set: RE2Set;
  patterns: readonly Pattern[];
}

interface Schema {
  rule: SchemaRule;
  fits: Fits;
}

/**
 * Filter by the rules of a policy file: a finding for each rule whose pattern matches, with the places, and for each whose schema
 * an answer does not fit, without. Schemas are for answers: reasoning and the names and arguments of tool calls need not fit.
 *
 * @throws RuleError if a rule cannot work.
 */
export function rules(list: readonly Rule[]): Filter {
  const patterns = list.flatMap((rule): Pattern[] => ('pattern' in rule ? [compilePattern(rule)] : []));
  const schemas = list.flatMap((rule): Schema[] => ('schema' in rule ? [{ rule, fits: fitsOf(rule) }] : []));
  const groups: Group[] = [];
  for (let i = 0; i < patterns.length; i += GROUP) groups.push(groupOf(patterns.slice(i, i + GROUP)));
  return {
    name: 'rules',
    version: `1-${createHash('sha256').update(canonicalJson(list)).digest('hex').slice(0, 12)}`,
    categories: [...new Set(list.map(({ category }) => category))],
    exact: true,
    inspect: async (segments, { signal }) =>
      segments.map((segment) => {
        signal.throwIfAborted();
        return [
          ...groups.flatMap((group) => matching(group, segment.text)),
          ...schemas.flatMap(({ rule, fits }) => (isAnswer(segment) && !fits(segment.text) ? [finding(rule, [])] : [])),
        ];
      }),
  };
}

/** Why a rule cannot work, in a sentence that names it; `null` if it can. */
export function checkRule(rule: Rule): string | null {
  try {
    if ('pattern' in rule) compilePattern(rule);
    else fitsOf(rule);
    return null;
  } catch (error) {
    if (error instanceof RuleError) return error.message;
    throw error;
  }
}

function compilePattern(rule: PatternRule): Pattern {
  return named(rule.name, () => {
    const regexp = compileRegexp(rule.pattern, rule.flags);
    if (regexp.test('')) throw new Error('the pattern matches the empty text, so it would be found everywhere');
    return { rule, regexp, anchored: looksAtEnds(rule.pattern, rule.flags) };
  });
}

const fitsOf = (rule: SchemaRule): Fits => named(rule.name, () => compileSchema(rule.schema));

function named<T>(rule: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new RuleError(rule, error instanceof Error ? error.message : String(error));
  }
}

function groupOf(patterns: readonly Pattern[]): Group {
  const set = new RE2Set();
  for (const { rule } of patterns) set.add(withFlags(rule.pattern, rule.flags));
  return { set, patterns };
}

/** Most answers match nothing, which one pass for all patterns says. Only for what does match are the places looked for. */
function matching({ set, patterns }: Group, text: string): Finding[] {
  return set.match(text).flatMap((index) => {
    const pattern = patterns[index];
    return pattern === undefined ? [] : [finding(pattern.rule, spansOf(pattern.regexp, text, pattern.anchored) ?? [])];
  });
}

function finding({ name, category, severity }: Rule, spans: readonly Span[]): Finding {
  return { category, severity, score: 1, label: name, spans };
}

const isAnswer = ({ id }: Segment): boolean => !/\.reasoning$|\.tool_calls\./.test(id);
