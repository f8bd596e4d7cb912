import { createHash } from 'node:crypto';
import type { ValidateFunction } from 'ajv/dist/2020.js';
import type { RE2JS } from 're2js';
import type { Filter, Finding, Span } from '../port.ts';
import { compilePattern, compileSchema, type Rule } from './check.ts';
import { literalOf } from './literal.ts';

export { checkRule, type Rule } from './check.ts';

type Compiled = { rule: Rule } & ({ pattern: RE2JS; literal: string | null } | { validate: ValidateFunction });

/**
 * Rules of the policy's own: regular expressions of RE2, whose time grows with the text and with nothing else, and JSON
 * schemas that an answer must fit. A text that is no JSON fits no schema.
 * @throws Error for a rule that `checkRule` refuses.
 */
export function rules(list: readonly Rule[]): Filter {
  const compiled = list.map((rule): Compiled => {
    if (!('pattern' in rule)) return { rule, validate: compileSchema(rule) };
    return { rule, pattern: compilePattern(rule), literal: rule.flags?.includes('i') ? null : literalOf(rule.pattern) };
  });
  return {
    name: 'rules',
    version: createHash('sha256').update(JSON.stringify(list)).digest('hex').slice(0, 12),
    categories: [...new Set(list.map((rule) => rule.category))],
    exact: true,
    inspect: async (segments) => segments.map(({ text }) => compiled.flatMap((one) => look(one, text))),
  };
}

function look(one: Compiled, text: string): Finding[] {
  const { name, category, severity } = one.rule;
  const found = (spans: Span[]): Finding[] => [{ category, severity, score: 1, label: name, spans }];
  if ('validate' in one) return fits(one.validate, text) ? [] : found([]);
  // Native search is much faster than any matcher: most texts are done with here.
  if (one.literal !== null && !text.includes(one.literal)) return [];
  const spans = spansOf(one.pattern, text);
  return spans.length === 0 ? [] : found(spans);
}

function spansOf(pattern: RE2JS, text: string): Span[] {
  const spans: Span[] = [];
  const matcher = pattern.matcher(text);
  while (matcher.find()) {
    const [start, end] = [matcher.start(), matcher.end()];
    if (end > start) spans.push({ start, end });
  }
  return spans;
}

function fits(validate: ValidateFunction, text: string): boolean {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return false;
  }
  return validate(value) === true;
}
