import type { GbnfJsonSchema, Llama, LlamaGrammar } from 'node-llama-cpp';
import { EngineError } from '../port.ts';
import type { Generate } from './messages.ts';

/** A JSON object, with white space bounded: models that may write any amount of it sometimes never stop. */
const JSON_OBJECT = String.raw`root ::= object
value ::= object | array | string | number | "true" | "false" | "null"
object ::= "{" ws ( string ":" ws value ws ("," ws string ":" ws value ws)* )? "}"
array ::= "[" ws ( value ws ("," ws value ws)* )? "]"
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4}) )* "\""
number ::= "-"? ("0" | [1-9] [0-9]{0,15}) ("." [0-9]{1,15})? ([eE] [-+]? [0-9]{1,3})?
ws ::= | " " | "\n" [ \t]{0,20}
`;

/** node-llama-cpp ends its JSON grammars with four line breaks, a stop sign for its own chat. */
const ITS_ENDING = String.raw` "\n\n\n\n" [\n]*`;

/** What holds an answer to the format asked for; null for plain text. @throws EngineError `bad_request`. */
export async function grammarFor(llama: Llama, format: Generate['format']): Promise<LlamaGrammar | null> {
  try {
    switch (format.type) {
      case 'text':
        return null;
      case 'json_object':
        return await llama.createGrammar({ grammar: JSON_OBJECT });
      case 'json_schema': {
        const { grammar } = await llama.createGrammarForJsonSchema<GbnfJsonSchema>(supportedSchema(format.schema));
        return await llama.createGrammar({ grammar: mended(grammar) });
      }
    }
  } catch (error) {
    if (error instanceof EngineError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new EngineError('bad_request', `The JSON schema cannot be used: ${reason}`, error);
  }
}

/** How it writes an exponent: of up to 16 digits, which no number can hold. */
const ITS_EXPONENT = ' ([eE] [-+]? ("0" | [1-9] [0-9]{0,15}))?';

function mended(grammar: string): string {
  return grammar
    .replace(ITS_ENDING, '')
    .split('\n')
    .map((line) => line.replace(ITS_EXPONENT, line.startsWith('integer-') ? '' : ' ([eE] [-+]? [0-9]{1,2})?'))
    .join('\n');
}

/** Keywords that node-llama-cpp would pass over, and an answer could then break. */
const UNSUPPORTED = [
  ...['pattern', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf', 'not', 'if'],
  ...['patternProperties', 'propertyNames', 'dependentSchemas', 'contains', 'unevaluatedProperties'],
];

/**
 * A JSON schema in the words node-llama-cpp knows. Optional properties become required ones: what is written then still
 * fits the schema.
 * @throws EngineError `bad_request` for what it cannot hold an answer to.
 */
export function supportedSchema(schema: Record<string, unknown>): GbnfJsonSchema {
  // The library's type describes the words it knows; which of them a request uses is known only at run time.
  return JSON.parse(JSON.stringify(supported(schema)));
}

function supported(schema: unknown): Record<string, unknown> {
  // `true`, `{}` and the like allow anything.
  if (!isRecord(schema)) return ANYTHING;
  for (const word of UNSUPPORTED) {
    if (schema[word] !== undefined) {
      throw new EngineError(
        'bad_request',
        `The JSON schema uses "${word}", which this engine (node-llama-cpp) cannot hold an answer to: leave it out, or run llama-server`,
      );
    }
  }
  const { anyOf, allOf, definitions, $defs, properties, items, prefixItems, additionalProperties, ...rest } = schema;
  const result: Record<string, unknown> = { ...rest };
  const defs = $defs ?? definitions;
  if (isRecord(defs)) result.$defs = mapValues(defs);
  if (typeof rest.$ref === 'string') result.$ref = rest.$ref.replace('#/definitions/', '#/$defs/');
  const union = rest.oneOf ?? anyOf;
  if (Array.isArray(union)) return { ...pick(result, '$defs'), oneOf: union.map(supported) };
  if (Array.isArray(allOf)) {
    if (allOf.length !== 1)
      throw new EngineError(
        'bad_request',
        'The JSON schema joins several schemas by "allOf", which this engine (node-llama-cpp) cannot do',
      );
    return { ...pick(result, '$defs'), ...supported(allOf[0]) };
  }
  if (isRecord(properties)) {
    result.type = 'object';
    result.properties = mapValues(properties);
  }
  if (isRecord(additionalProperties)) result.additionalProperties = supported(additionalProperties);
  else if (typeof additionalProperties === 'boolean') result.additionalProperties = additionalProperties;
  else if (result.type === 'object' && !isRecord(properties)) result.additionalProperties = true;
  if (items !== undefined) result.items = supported(items);
  if (Array.isArray(prefixItems)) result.prefixItems = prefixItems.map(supported);
  if (!['date-time', 'time', 'date'].includes(String(rest.format))) delete result.format;

  const { type } = result;
  const unknown = [type].flat().find((name) => name !== undefined && !TYPES.has(name));
  if (unknown !== undefined) {
    throw new EngineError('bad_request', `The JSON schema has the type ${JSON.stringify(unknown)}, which there is not`);
  }
  // A list of types is read only where all of them are simple.
  if (Array.isArray(type) && type.some((name) => name === 'object' || name === 'array')) {
    return { ...pick(result, '$defs'), oneOf: type.map((name) => supported({ ...schema, type: name })) };
  }
  const open = type === undefined && !['const', 'enum', '$ref'].some((word) => result[word] !== undefined);
  return open ? { ...pick(result, '$defs'), ...ANYTHING } : result;
}

const TYPES = new Set<unknown>(['string', 'number', 'integer', 'boolean', 'null', 'object', 'array']);

/** Any JSON value. */
const ANYTHING = {
  oneOf: [
    { type: ['string', 'number', 'boolean', 'null'] },
    { type: 'object', additionalProperties: true },
    { type: 'array' },
  ],
};

function mapValues(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, supported(value)]));
}

function pick(record: Record<string, unknown>, key: string): Record<string, unknown> {
  return record[key] === undefined ? {} : { [key]: record[key] };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
