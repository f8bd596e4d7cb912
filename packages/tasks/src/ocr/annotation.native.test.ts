import { fileURLToPath } from 'node:url';
import { type Engine, type GenerateRequest, startEngine } from '@batchmill/engine';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { documentAnnotation } from './annotation.ts';

/** On the real engine with the tiny model: it knows nothing, so all the form there is comes from the schema. */
let engine: Engine;
beforeAll(async () => {
  engine = await startEngine({
    kind: 'llama-server',
    modelPath: fileURLToPath(new URL('../../../../models/test/text.gguf', import.meta.url)),
    mmprojPath: null,
    modelName: 'tiny',
    slots: 2,
    contextTokens: 2_048,
    imageTokens: 280,
    threads: 1,
  });
  // The first run on a machine builds llama-server.
}, 600_000);
afterAll(() => engine.close());

const schema = {
  type: 'object',
  properties: { kind: { enum: ['invoice', 'letter'] }, paid: { type: 'boolean' } },
  required: ['kind', 'paid'],
  additionalProperties: false,
};
const signal = new AbortController().signal;

it('is an object by the schema, also when the document takes several calls', async () => {
  for (const [pages, atLeast] of [
    [['Invoice 17', 'Total: 12.50'], 1],
    [Array.from({ length: 12 }, (_, i) => `Page ${i}\n${'one line of a letter\n'.repeat(20)}`), 3],
  ] as const)
    for (const told of [true, false]) {
      let calls = 0;
      const generate = (request: GenerateRequest) => {
        calls++;
        return engine.generate(request, signal);
      };
      const { contextTokens } = engine.capabilities;
      const result = await documentAnnotation({
        pages,
        schema,
        generate,
        maxTokens: 100,
        ...(told && { contextTokens }),
        signal,
      });
      expect(result.error).toBeNull();
      expect(JSON.parse(result.annotation ?? '')).toEqual({
        kind: expect.stringMatching(/^(invoice|letter)$/),
        paid: expect.any(Boolean),
      });
      expect(calls).toBeGreaterThanOrEqual(atLeast);
    }
});

it('names a schema the engine refuses, and an answer that was cut off', async () => {
  const annotate = (of: Record<string, unknown>, maxTokens: number) =>
    documentAnnotation({
      pages: ['text'],
      schema: of,
      generate: (request) => engine.generate(request, signal),
      maxTokens,
      signal,
    });
  expect((await annotate({ $ref: '#/nowhere' }, 50)).error?.code).toBe('invalid_schema');
  expect((await annotate(schema, 2)).error?.code).toBe('annotation_truncated');
});
