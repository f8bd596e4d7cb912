export { type PatternRule, type Rule, RuleError, type SchemaRule } from './rule.ts';
export { checkRule, rules } from './rules.ts';
