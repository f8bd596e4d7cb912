import { describe, expect, test } from 'vitest';
import type { FilterContext } from '../port.ts';
import { checkRule, rules, type SchemaRule } from './index.ts';

const context: FilterContext = {
  tenant: 'default',
  batchId: 'batch_1',
  customId: 'a',
  asked: [],
  selfVerdicts: [],
  signal: new AbortController().signal,
};

const rule = (schema: SchemaRule['schema']): SchemaRule => ({
  name: 'invoice',
  category: 'shape',
  severity: 2,
  schema,
});

async function fits(schema: SchemaRule['schema'], text: string, id = 'choices.0.content'): Promise<boolean> {
  const [findings = []] = await rules([rule(schema)]).inspect([{ id, text }], context);
  return findings.length === 0;
}

const invoice = {
  type: 'object',
  required: ['number', 'total'],
  additionalProperties: false,
  properties: {
    number: { type: 'string', pattern: '^INV-\\d{4}$' },
    total: { type: 'number', minimum: 0 },
    date: { type: 'string', format: 'date' },
    tags: { type: 'array', items: { type: 'string' }, uniqueItems: true },
  },
};

test('an answer that does not fit is found as a whole', async () => {
  const [findings] = await rules([rule(invoice)]).inspect(
    [{ id: 'choices.0.content', text: '{"number": 7}' }],
    context,
  );
  expect(findings).toEqual([{ category: 'shape', severity: 2, score: 1, label: 'invoice', spans: [] }]);
});

test.each<[string, boolean]>([
  ['{"number": "INV-0001", "total": 12.5}', true],
  ['{"number": "INV-0001", "total": 12.5, "date": "2026-02-28", "tags": ["a", "b"]}', true],
  ['{"number": "INV-0001", "total": 12.5, "date": "2026-02-30"}', false],
  ['{"number": "INV-0001", "total": 12.5, "tags": ["a", "a"]}', false],
  ['{"number": "INV-1", "total": 12.5}', false],
  ['{"number": "INV-0001", "total": 12.5, "more": 1}', false],
  ['{"number": "INV-0001", "total": 12.5', false],
  ['Here it is: {"number": "INV-0001", "total": 12.5}', false],
  ['', false],
])('%s: %s', async (text, yes) => {
  expect(await fits(invoice, text)).toBe(yes);
});

test('only answers need fit, not what was thought or which tools were called', async () => {
  expect(await fits(invoice, 'no JSON', 'choices.0.reasoning')).toBe(true);
  expect(await fits(invoice, '{}', 'choices.0.tool_calls.0.arguments')).toBe(true);
  expect(await fits(invoice, '{}', 'pages.0.markdown')).toBe(false);
});

test('draft 7 and 2020-12', async () => {
  const items = [{ type: 'string' }, { type: 'number' }];
  const old = { $schema: 'http://json-schema.org/draft-07/schema#', type: 'array', items, additionalItems: false };
  const now = { type: 'array', prefixItems: items, items: false };
  for (const schema of [old, now]) {
    expect(await fits(schema, '["a", 1]')).toBe(true);
    expect(await fits(schema, '["a", 1, 2]')).toBe(false);
  }
});

test.each<[string, string[], string[]]>([
  ['email', ['joe@example.com'], ['joe@', 'joe', 'joe@example']],
  ['uri', ['https://example.com/a?b#c', 'urn:isbn:1'], ['example.com', 'a b:c']],
  ['date-time', ['2026-01-02T03:04:05Z'], ['2026-01-02', '2026-13-02T03:04:05Z']],
  ['hostname', ['www.example.com'], ['-a.example', 'a b']],
  ['uuid', ['123e4567-e89b-12d3-a456-426614174000'], ['123e4567']],
  ['ipv4', ['10.0.0.1'], ['10.0.0.256']],
  ['ipv6', ['::1'], [':1']],
  ['duration', ['P3DT4H'], ['3D']],
  ['json-pointer', ['', '/a/~0b'], ['a', '/~2']],
  ['regex', ['a(b)'], ['a(b']],
])('format %s', async (format, good, bad) => {
  for (const text of good) expect(await fits({ type: 'string', format }, JSON.stringify(text)), text).toBe(true);
  for (const text of bad) expect(await fits({ type: 'string', format }, JSON.stringify(text)), text).toBe(false);
});

test.each<[SchemaRule['schema'], RegExp]>([
  [{ type: 'objekt' }, /^has a schema that cannot be used: \/type must be/],
  [{ type: 'object', requird: ['a'] }, /unknown keyword: "requird"/],
  [{ type: 'string', pattern: '(?=a)b' }, /Look-ahead and look-behind are not in RE2/],
  [{ type: 'string', pattern: '(a)\\1' }, /Back-references are not in RE2/],
  [{ type: 'string', pattern: '(a' }, /missing closing/],
  [{ type: 'string', format: 'postcode' }, /unknown format "postcode"/],
  [{ $ref: 'https://example.com/schema.json' }, /can't resolve reference/],
  [{ $async: true, type: 'object' }, /\$async/],
])('a schema that cannot work is refused with the reason: %j', (schema, why) => {
  expect(checkRule(rule(schema))).toMatch(why);
});

describe('no answer makes a schema take long', () => {
  // What takes more than linear time here takes longer than a test may.
  const soon = (schema: SchemaRule['schema'], text: string) => fits(schema, text).catch((error: unknown) => error);

  test.each(['(a+)+$', '^(a|a)*$', '(x+x+)+y', '^(([a-z])+.)+[A-Z]([a-z])+$'])('pattern %s', async (pattern) => {
    const text = JSON.stringify(`${'a'.repeat(300_000)}!`);
    expect(await soon({ type: 'string', pattern }, text)).toBe(false);
    expect(await soon({ patternProperties: { [pattern]: { type: 'string' } } }, `{${text}: "x"}`)).toBe(true);
  });

  test.each(['email', 'uri', 'uri-reference', 'hostname', 'date-time', 'duration', 'json-pointer', 'regex', 'ipv6'])(
    'format %s',
    async (format) => {
      for (const part of ['a', 'a.', 'a-', '1', '/', 'a@a.', '(', ' ', '%', ':'])
        await soon({ type: 'string', format }, JSON.stringify(`${part.repeat(150_000)}!\n`));
    },
  );

  test('uniqueItems of many objects', async () => {
    const items = Array.from({ length: 100_000 }, (_, i) => ({ a: i, b: [i] }));
    expect(await soon({ type: 'array', uniqueItems: true }, JSON.stringify(items))).toBe(true);
    expect(await soon({ type: 'array', uniqueItems: true }, '[{"a":1,"b":2},{"b":2,"a":1}]')).toBe(false);
  });

  test('a schema that refers to itself from several branches', async () => {
    const node = (kind: string) => ({
      type: 'object',
      properties: { child: { $ref: '#/$defs/node' }, kind: { const: kind } },
      required: ['kind'],
    });
    const schema = { $ref: '#/$defs/node', $defs: { node: { anyOf: ['a', 'b', 'c'].map(node) } } };
    const deep = (depth: number, kind: string) =>
      `${'{"child":'.repeat(depth)}{"kind":"c"}${`,"kind":"${kind}"}`.repeat(depth)}`;
    expect(await soon(schema, deep(5, 'c'))).toBe(true);
    expect(await soon(schema, deep(5, 'x'))).toBe(false);
    expect(await soon(schema, deep(200, 'c'))).toMatchObject({ message: expect.stringContaining('too many steps') });
  });

  test('an answer nested as deep as it is long fails closed', async () => {
    const schema = { $ref: '#/$defs/list', $defs: { list: { type: 'array', items: { $ref: '#/$defs/list' } } } };
    const outcome = await soon(schema, '['.repeat(200_000) + ']'.repeat(200_000));
    expect(outcome).not.toBe(true);
  });
});
