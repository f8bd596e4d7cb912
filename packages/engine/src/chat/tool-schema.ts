/**
 * A tool's JSON schema in the plain subset that the Gemma 4 template reads: one `type` per property, `nullable` instead of
 * a null type, no references and no unions. The template skips or refuses anything else; which of a union's forms is
 * taken matters little, since the schema here is a hint to the model and checks nothing.
 */
export function plainToolSchema(schema: Record<string, unknown>): Record<string, unknown> {
  return plain(schema, schema, 0);
}

/** References may go round in circles: below this depth a schema is shown as any object. */
const DEEPEST = 12;

function plain(schema: unknown, root: Record<string, unknown>, depth: number): Record<string, unknown> {
  if (!isRecord(schema) || depth > DEEPEST) return { type: 'object' };
  const target = resolve(schema, root);
  const { $ref, $defs, definitions, anyOf, oneOf, allOf, const: constant, ...own } = target;

  let result: Record<string, unknown> = own;
  let nullable = target.nullable === true;
  for (const part of Array.isArray(allOf) ? allOf : []) result = { ...plain(part, root, depth + 1), ...result };
  const union = [anyOf, oneOf].find((forms) => Array.isArray(forms));
  if (Array.isArray(union)) {
    const forms = union.filter((form) => !(isRecord(form) && form.type === 'null'));
    nullable ||= forms.length < union.length;
    result = { ...plain(forms[0] ?? {}, root, depth + 1), ...result };
  }
  if (constant !== undefined && result.enum === undefined) result.enum = [constant];

  const types = [result.type].flat().filter((type) => typeof type === 'string');
  nullable ||= types.includes('null') || result.nullable === true;
  const type = types.find((name) => name !== 'null') ?? typeFromContent(result);
  result.type = type;
  if (nullable) result.nullable = true;
  if (isRecord(result.properties)) {
    result.properties = Object.fromEntries(
      Object.entries(result.properties).map(([name, property]) => [name, plain(property, root, depth + 1)]),
    );
  }
  if (type === 'array') result.items = plain(result.items ?? { type: 'string' }, root, depth + 1);
  else delete result.items;
  if (!Array.isArray(result.required)) delete result.required;
  if (!Array.isArray(result.enum)) delete result.enum;
  if (typeof result.description !== 'string') delete result.description;
  return result;
}

function typeFromContent(schema: Record<string, unknown>): string {
  if (isRecord(schema.properties)) return 'object';
  if (schema.items !== undefined) return 'array';
  const first: unknown = Array.isArray(schema.enum) ? schema.enum[0] : undefined;
  return typeof first === 'number' ? 'number' : typeof first === 'boolean' ? 'boolean' : 'string';
}

/** Follows `#/…` references within the schema, with the referring schema's own words (a description) kept on top. */
function resolve(schema: Record<string, unknown>, root: Record<string, unknown>): Record<string, unknown> {
  let current = schema;
  for (let hops = 0; hops < DEEPEST && typeof current.$ref === 'string'; hops += 1) {
    const { $ref, ...own } = current;
    let target: unknown = root;
    for (const step of String($ref).replace(/^#\/?/, '').split('/')) {
      if (step !== '') target = isRecord(target) ? target[step.replaceAll('~1', '/').replaceAll('~0', '~')] : undefined;
    }
    current = { ...(isRecord(target) ? target : {}), ...own };
  }
  return current;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
