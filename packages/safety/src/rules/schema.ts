import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { fullFormats } from 'ajv-formats/dist/formats.js';
import { RE2JS } from 're2js';
import { canonicalJson } from '../policy/canonical.ts';
import { compileRegexp } from './regexp.ts';

/** Says whether a text is JSON that fits. @throws Error if that would take more steps than the text has reason for. */
export type Fits = (text: string) => boolean;

/** Its name cannot be met in a schema: it is no keyword, and strict mode refuses those. */
const STEP_KEYWORD = 'batchmillStep';

/**
 * Compiles a JSON schema: 2020-12, or draft 7 where `$schema` says so. Nothing in it can take more than linear time: patterns and formats
 * are RE2's, `uniqueItems` compares by hash, and recursion is bounded.
 *
 * @throws Error that says what is wrong with the schema.
 */
export function compileSchema(schema: Readonly<Record<string, unknown>>): Fits {
  // A schema that refers to itself from several branches doubles its work with each level of an answer.
  let steps = 0;
  const options = {
    strict: true,
    strictTypes: false,
    strictTuples: false,
    strictRequired: false,
    logger: false,
    formats: FORMATS,
    code: { regExp: engine },
  } as const;
  const ajv = /draft-07/.test(String(schema.$schema)) ? new Ajv(options) : new Ajv2020(options);
  ajv.removeKeyword('uniqueItems');
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    validate: (unique: boolean, items: unknown[]) =>
      !unique || new Set(items.map((item) => canonicalJson(item))).size === items.length,
  });
  ajv.addKeyword({
    keyword: STEP_KEYWORD,
    schemaType: 'boolean',
    before: '$ref',
    validate: () => {
      if (--steps < 0) throw new Error('the schema takes too many steps for this answer');
      return true;
    },
  });
  const validate = compile(ajv, schema);
  return (text) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return false;
    }
    steps = 100_000 + 20 * text.length;
    return validate(value);
  };
}

function compile(ajv: Ajv | Ajv2020, schema: Readonly<Record<string, unknown>>): ValidateFunction {
  if (schema.$async !== undefined) throw new Error("'$async' is not served");
  // First as it is, so that what is wrong is said of the author's schema.
  if (!ajv.validateSchema(schema)) throw new Error(said(ajv.errors?.[0]));
  return ajv.compile(counted(schema));
}

function said(error: ErrorObject | undefined): string {
  return error === undefined ? 'it is not valid' : `${error.instancePath} ${error.message ?? ''}`.trim();
}

/** Keywords whose value is a map of schemas by name: the names are no keywords. */
const MAPS = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas', 'dependencies']);
const DATA = new Set(['const', 'enum', 'default', 'examples']);

/** The schema, with a step counted wherever it refers to another part. */
function counted(schema: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const entries = Object.entries(schema).map(([key, value]): [string, unknown] => {
    if (DATA.has(key)) return [key, value];
    if (MAPS.has(key) && isObject(value))
      return [key, Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, within(inner)]))];
    return [key, within(value)];
  });
  const refers = ['$ref', '$dynamicRef', '$recursiveRef'].some((key) => typeof schema[key] === 'string');
  return Object.fromEntries(refers ? [...entries, [STEP_KEYWORD, true]] : entries);
}

function within(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(within);
  return isObject(value) ? counted(value) : value;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What ajv compiles `pattern` and `patternProperties` with. They are written for ECMAScript. */
const engine = Object.assign((pattern: string) => compileRegexp(RE2JS.translateRegExp(pattern)), {
  code: 'new RegExp',
});

/** A host name has at most 253 characters, and nobody's duration or time is longer: there, no pattern takes long. */
const SHORT = 253;

const short = (test: (text: string) => boolean) => (text: string) => text.length <= SHORT && test(text);
const linear = (pattern: RegExp) => {
  const regexp = compileRegexp(pattern.source, pattern.flags);
  return (text: string) => regexp.test(text);
};

const URI = linear(/^[a-z][a-z0-9+.-]*:[^\s<>"{}|\\^`]*$/i);
const REGEX = (text: string) => {
  try {
    new RegExp(text, 'u');
    return true;
  } catch {
    return false;
  }
};

/** The formats of JSON Schema, after ajv-formats, but none by a pattern that can backtrack over a long text. */
const FORMATS = {
  date: short(checker('date')),
  time: short(checker('time')),
  'date-time': short(checker('date-time')),
  duration: short(checker('duration')),
  hostname: short(checker('hostname')),
  ipv4: short(checker('ipv4')),
  ipv6: short(checker('ipv6')),
  uuid: short(checker('uuid')),
  regex: short(REGEX),
  email: linear(
    /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]*[a-z0-9])?$/i,
  ),
  uri: URI,
  'uri-reference': linear(/^[^\s<>"{}|\\^`]*$/),
  'json-pointer': linear(/^(\/([^~/]|~0|~1)*)*$/),
};

function checker(name: keyof typeof fullFormats): (text: string) => boolean {
  const format = fullFormats[name];
  if (format instanceof RegExp) return (text) => format.test(text);
  if (typeof format === 'object' && typeof format.validate === 'function') {
    const { validate } = format;
    return (text) => Reflect.apply(validate, undefined, [text]) === true;
  }
  throw new Error(`ajv-formats has no check for '${name}'`);
}
