import { newId } from '@batchmill/contract';
import type { Engine } from '@batchmill/engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { taskContext } from '../test-context.ts';
import { START_MS, startTinyEngine } from '../test-engine.ts';
import { judgeContext, judges } from '../test-judge.ts';
import { createOcrTask } from './ocr-task.ts';
import { pdf } from './test-documents.ts';

/** OCR on the real engine, with the tiny model: what it writes is nonsense, but the same each time. */
let engine: Engine;
beforeAll(async () => {
  engine = await startTinyEngine();
}, START_MS);
afterAll(() => engine.close());

async function read(bytes: Uint8Array, more: Record<string, unknown>) {
  const id = newId('file-');
  const { context, clear } = await taskContext(new Map([[id, bytes]]), {
    models: [engine.capabilities.model],
    image: engine.capabilities.image,
    generate: (request, signal) => engine.generate(request, signal ?? new AbortController().signal),
  });
  try {
    const task = createOcrTask({ imageTokens: 280, contextTokens: 4_096 });
    const draft = await task.run({ model: 'tiny', document: { type: 'file', file_id: id }, ...more }, context);
    return draft.finish(await judges.none.judge(draft.segments, judgeContext(context.signal)));
  } finally {
    await clear();
  }
}

describe('with the real engine', () => {
  it('pages are read, the same each time', async () => {
    const bytes = await pdf('scan', 'blank', 'text');
    const more = { max_tokens: 12, text_layer: 'ignore' };
    const [first, second] = [await read(bytes, more), await read(bytes, more)];
    expect(first.pages.map((page) => page.source)).toEqual(['model', 'blank', 'model']);
    expect(first.pages[0]?.markdown).not.toBe('');
    expect(second.pages).toEqual(first.pages);
    // Two pictures of up to 280 tokens, and the instruction with each.
    expect(first.usage.input_tokens).toBeGreaterThan(2 * 200);
    expect(first.usage.output_tokens).toBeGreaterThan(2);
    expect(first.usage.output_tokens).toBeLessThanOrEqual(24);
    const [cut] = (await read(bytes, { ...more, max_tokens: 2, pages: [2] })).pages;
    expect(cut).toMatchObject({ index: 2, truncated: true });
  });

  it('the annotation obeys its schema', async () => {
    const schema = { type: 'object', properties: { paid: { type: 'boolean' } }, required: ['paid'] };
    const answer = await read(await pdf('text'), {
      document_annotation_format: {
        type: 'json_schema',
        json_schema: { schema: { ...schema, additionalProperties: false } },
      },
    });
    expect(answer.pages[0]?.source).toBe('text_layer');
    expect(answer.document_annotation_error).toBeUndefined();
    expect(JSON.parse(answer.document_annotation ?? '')).toEqual({ paid: expect.any(Boolean) });
  });
});
