import type { PatternRule, SchemaRule } from '../policy/schema.ts';

/**
 * A rule of a policy file: what is found where its pattern matches, or where an answer is no JSON that fits its schema (2020-12, or
 * draft 7 where `$schema` says so).
 */
export type Rule = PatternRule | SchemaRule;

/** A rule that cannot work. The message names it and says why. */
export class RuleError extends Error {
  override readonly name = 'RuleError';
  /** Why, as the end of a sentence that begins with the rule's name. */
  readonly why: string;
  constructor(rule: string, why: string) {
    super(`rule '${rule}' ${why}`);
    this.why = why;
  }
}
