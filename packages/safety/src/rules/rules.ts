import { createHash } from 'node:crypto';
import { type RE2JS, RE2Set } from 're2js';
import { canonicalJson } from '../policy/canonical.ts';
import type { PatternRule, SchemaRule } from '../policy/schema.ts';
import type { Filter, Finding, Segment, Span } from '../port.ts';
import { compilePattern, fitsOf } from './check.ts';
import { Held, literalOf } from './literal.ts';
import { withFlags } from './regexp.ts';
import type { Rule } from './rule.ts';
import type { Fits } from './schema.ts';
import { looksAtEnds, spansOf } from './spans.ts';

/** Patterns that are searched for in one pass. Many more in one automaton would have too many states to be kept. */
const GROUP = 32;

interface Pattern {
  rule: PatternRule;
  regexp: RE2JS;
  anchored: boolean;
  /** What every match holds. */
  literal: string | null;
  /** In whatever case. */
  folded: boolean;
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
 * an answer does not fit, without. Schemas are for answers: reasoning, raw tokens, and the names and arguments of tool calls need not fit.
 *
 * @throws RuleError if a rule cannot work.
 */
export function rules(list: readonly Rule[]): Filter {
  const patterns = list.flatMap((rule): Pattern[] => ('pattern' in rule ? [patternOf(rule)] : []));
  const literal = patterns.filter((one) => one.literal !== null);
  const others = patterns.filter((one) => one.literal === null);
  const schemas = list.flatMap((rule): Schema[] => ('schema' in rule ? [{ rule, fits: fitsOf(rule) }] : []));
  // Findings come in the order of the rules, however those are searched for.
  const places = new Map(list.map(({ name }, i) => [name, i]));
  const groups: Group[] = [];
  for (let i = 0; i < others.length; i += GROUP) groups.push(groupOf(others.slice(i, i + GROUP)));
  return {
    name: 'rules',
    version: `1-${createHash('sha256').update(canonicalJson(list)).digest('hex').slice(0, 12)}`,
    categories: [...new Set(list.map(({ category }) => category))],
    exact: true,
    inspect: async (segments, { signal }) =>
      segments.map((segment) => {
        signal.throwIfAborted();
        const held = new Held(segment.text);
        return [
          ...literal.flatMap((one) => holding(one, segment.text, held)),
          ...groups.flatMap((group) => matching(group, segment.text)),
          ...schemas.flatMap(({ rule, fits }) => (isAnswer(segment) && !fits(segment.text) ? [finding(rule, [])] : [])),
        ].sort((a, b) => (places.get(a.label) ?? 0) - (places.get(b.label) ?? 0));
      }),
  };
}

function patternOf(rule: PatternRule): Pattern {
  const { pattern, flags } = rule;
  return {
    rule,
    regexp: compilePattern(rule),
    anchored: looksAtEnds(pattern, flags),
    literal: literalOf(pattern, flags),
    folded: flags?.includes('i') === true,
  };
}

function groupOf(patterns: readonly Pattern[]): Group {
  const set = new RE2Set();
  for (const { rule } of patterns) set.add(withFlags(rule.pattern, rule.flags));
  return { set, patterns };
}

/** The native search for a plain text is much faster than any automaton: most texts are done with here. */
function holding(pattern: Pattern, text: string, held: Held): Finding[] {
  return held.has(pattern.literal ?? '', pattern.folded) && pattern.regexp.test(text) ? [matched(pattern, text)] : [];
}

/** Most answers match nothing, which one pass for all patterns says. Only for what does match are the places looked for. */
function matching({ set, patterns }: Group, text: string): Finding[] {
  return set.match(text).flatMap((index) => {
    const pattern = patterns[index];
    return pattern === undefined ? [] : [matched(pattern, text)];
  });
}

const matched = ({ rule, regexp, anchored }: Pattern, text: string): Finding =>
  finding(rule, spansOf(regexp, text, anchored) ?? []);

function finding({ name, category, severity }: Rule, spans: readonly Span[]): Finding {
  return { category, severity, score: 1, label: name, spans };
}

const isAnswer = ({ id, unescaped }: Segment): boolean =>
  unescaped !== true && !/\.reasoning$|\.tokens$|\.tool_calls\./.test(id);
