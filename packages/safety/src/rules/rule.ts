import type { Category, Severity } from '../taxonomy.ts';

/** A rule of a policy file: what is found where its pattern matches, or where an answer is no JSON that fits its schema. */
export type Rule = PatternRule | SchemaRule;

interface RuleBase {
  /** `[a-z0-9_]{1,40}`: becomes the label of what it finds. */
  name: string;
  category: Category;
  severity: Severity;
}

export interface PatternRule extends RuleBase {
  /** In the syntax of RE2: no look-around, no back-references. */
  pattern: string;
  /** Of `i` (either case), `m` (`^` and `$` at lines), `s` (`.` is any character), `u` (always on, so it changes nothing). */
  flags?: string;
}

export interface SchemaRule extends RuleBase {
  /** JSON Schema 2020-12, or draft 7 where `$schema` says so. */
  schema: Readonly<Record<string, unknown>>;
}

/** A rule that cannot work. The message names the rule and says why. */
export class RuleError extends Error {
  override readonly name = 'RuleError';
  readonly rule: string;
  constructor(rule: string, why: string) {
    super(`rule '${rule}': ${why}`);
    this.rule = rule;
  }
}
