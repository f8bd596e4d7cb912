import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { RE2JS } from 're2js';
import type { PatternRule, SchemaRule } from '../policy/schema.ts';

export type Rule = PatternRule | SchemaRule;

/** What is wrong with a rule, as the end of a sentence that begins with its name; `null` if nothing is. */
export function checkRule(rule: Rule): string | null {
  try {
    if ('pattern' in rule) {
      const compiled = compilePattern(rule);
      if (compiled.matcher('').find())
        return 'finds nothing at all: its pattern fits an empty text. Write what must be there';
    } else compileSchema(rule);
    return null;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return 'pattern' in rule ? `has a pattern that RE2 does not take: ${why}` : `has a schema that is none: ${why}`;
  }
}

/** @throws Error for what RE2 has not: look-around, back-references. */
export function compilePattern({ pattern, flags = '' }: PatternRule): RE2JS {
  let bits = 0;
  if (flags.includes('i')) bits |= RE2JS.CASE_INSENSITIVE;
  if (flags.includes('m')) bits |= RE2JS.MULTILINE;
  if (flags.includes('s')) bits |= RE2JS.DOTALL;
  return RE2JS.compile(pattern, bits);
}

/** @throws Error for what is no schema. Its patterns run on RE2 too: a schema must not be a way to hang the worker. */
export function compileSchema({ schema }: SchemaRule): ValidateFunction {
  const engine = Object.assign(
    (source: string) => {
      const compiled = RE2JS.compile(source);
      // ajv takes two with the same text for one.
      return { test: (text: string) => compiled.matcher(text).find(), toString: () => `/${source}/` };
    },
    { code: 're2' },
  );
  return new Ajv2020({ strict: false, validateFormats: false, allErrors: false, code: { regExp: engine } }).compile(
    schema,
  );
}
