import { getLlama, type Llama, LlamaLogLevel } from 'node-llama-cpp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { grammarFor, supportedSchema } from './grammar.ts';

let llama: Llama;
beforeAll(async () => {
  llama = await getLlama({ gpu: false, build: 'never', maxThreads: 1, logLevel: LlamaLogLevel.error });
});
afterAll(async () => {
  await llama.dispose();
});

const grammar = async (schema: Record<string, unknown>) =>
  (await grammarFor(llama, { type: 'json_schema', schema }))?.grammar ?? '';

describe('the grammar of a schema', () => {
  it('has neither the ending nor the exponents of node-llama-cpp', async () => {
    const text = await grammar({ type: 'object', properties: { n: { type: 'integer' }, x: { type: 'number' } } });
    expect(text).not.toContain('\\n\\n\\n\\n');
    expect(text).toMatch(/integer-number-rule ::= "-"\? \("0" \| \[1-9\] \[0-9\]\{0,15\}\)$/m);
    expect(text).toContain('[eE] [-+]? [0-9]{1,2}');
    expect(text).not.toContain('[eE] [-+]? (');
  });

  it.each<[string, Record<string, unknown>]>([
    ['nothing', {}],
    ['a union', { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'integer' } }] }],
    ['several types', { type: ['object', 'null'], properties: { a: { type: 'string' } } }],
    [
      'definitions',
      { $ref: '#/definitions/A', definitions: { A: { type: 'object', properties: { a: { const: 1 } } } } },
    ],
    ['one of one', { allOf: [{ type: 'boolean' }] }],
    ['any object', { type: 'object' }],
    ['a map', { type: 'object', additionalProperties: { type: 'number' } }],
    ['a tuple', { type: 'array', prefixItems: [{ type: 'string' }, true], minItems: 2 }],
    ['an unknown format', { type: 'string', format: 'uuid' }],
    ['a title', { title: 'A', description: 'B', type: 'string', maxLength: 4 }],
  ])('is made of %s', async (_what, schema) => {
    expect(await grammar(schema)).toMatch(/^root ::= /);
  });

  it.each<[string, Record<string, unknown>]>([
    ['pattern', { type: 'object', properties: { a: { type: 'string', pattern: '^a' } } }],
    ['minimum', { type: 'array', items: { type: 'integer', minimum: 3 } }],
    ['allOf', { allOf: [{ type: 'object' }, { type: 'object' }] }],
    ['nonsense', { type: 'nonsense' }],
  ])('is refused where "%s" could not be kept to', (word, schema) => {
    expect(() => supportedSchema(schema)).toThrow(
      expect.objectContaining({ code: 'bad_request', message: expect.stringContaining(`"${word}"`) }),
    );
  });
});
