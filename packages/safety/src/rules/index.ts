export type { PatternRule, SchemaRule } from '../policy/schema.ts';
export { checkRule } from './check.ts';
export { type Rule, RuleError } from './rule.ts';
export { rules } from './rules.ts';
