import type { RE2JS } from 're2js';
import type { PatternRule, SchemaRule } from '../policy/schema.ts';
import { compileRegexp } from './regexp.ts';
import { type Rule, RuleError } from './rule.ts';
import { compileSchema, type Fits } from './schema.ts';

/** Why a rule cannot work, as the end of a sentence that begins with its name; `null` if it can. */
export function checkRule(rule: Rule): string | null {
  try {
    if ('pattern' in rule) compilePattern(rule);
    else fitsOf(rule);
    return null;
  } catch (error) {
    if (error instanceof RuleError) return error.why;
    throw error;
  }
}

/** @throws RuleError for what RE2 has not (look-around, back-references), and for what would be found everywhere. */
export function compilePattern({ name, pattern, flags }: PatternRule): RE2JS {
  const regexp = told(name, 'has a pattern that RE2 does not take', () => compileRegexp(pattern, flags));
  if (regexp.test(''))
    throw new RuleError(name, 'would be found everywhere: its pattern fits an empty text. Write what must be there');
  return regexp;
}

/** @throws RuleError for what is no schema, or could take long. */
export function fitsOf({ name, schema }: SchemaRule): Fits {
  return told(name, 'has a schema that cannot be used', () => compileSchema(schema));
}

function told<T>(rule: string, what: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new RuleError(rule, `${what}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
