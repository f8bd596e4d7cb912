import { EngineError, type GenerateRequest, type Generation } from '@batchmill/engine';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { documentAnnotation } from './annotation.ts';

const schema = { type: 'object', properties: { words: { type: 'array', items: { type: 'string' } } } };
const shown = (request: GenerateRequest) =>
  request.messages[0]?.content.map((p) => (p.type === 'text' ? p.text : ''))[0] ?? '';

/**
 * What is tested here is how calls are cut and put together, so this engine does what a perfect model would: it lists
 * the words of the pages it is shown, or those of the parts, and refuses prompts longer than its context.
 */
function reader(contextTokens: number) {
  const calls: string[] = [];
  const generate = async (request: GenerateRequest): Promise<Generation> => {
    const text = shown(request);
    calls.push(text);
    if (text.length / 3 > contextTokens) throw new EngineError('context_overflow', 'too long');
    const pages = [...text.matchAll(/<page>\n(.*?)\n<\/page>/gs)].flatMap(([, page = '']) => page.split(/\s+/));
    const parts = [...text.matchAll(/<part>\n(.*)\n<\/part>/g)].flatMap(([, part = '']) => JSON.parse(part).words);
    return answer(JSON.stringify({ words: [...pages, ...parts].filter(Boolean) }));
  };
  return { calls, generate };
}

const answer = (text: string, finishReason: Generation['finishReason'] = 'stop'): Generation => ({
  text,
  reasoning: null,
  toolCalls: [],
  finishReason,
  usage: { promptTokens: 100, cachedTokens: 10, completionTokens: 20, reasoningTokens: 0 },
  logprobs: null,
});
const signal = new AbortController().signal;

describe('documentAnnotation', () => {
  it('is one call if the document fits', async () => {
    const { calls, generate } = reader(100_000);
    const pages = ['alpha beta', '', 'gamma'];
    const result = await documentAnnotation({ pages, schema, prompt: 'List the words.', generate, signal });
    expect(result).toMatchObject({ annotation: '{"words":["alpha","beta","gamma"]}', error: null });
    expect(result.usage).toMatchObject({ input_tokens: 100, output_tokens: 20, total_tokens: 120 });
    expect(calls).toHaveLength(1);
    expect(calls[0]).toContain('List the words.');
    expect(calls[0]).toContain(JSON.stringify(schema));
  });

  it('asks greedily for the schema', async () => {
    let asked: GenerateRequest | undefined;
    const generate = async (request: GenerateRequest) => {
      asked = request;
      return answer('{}');
    };
    await documentAnnotation({ pages: ['a'], schema, generate, maxTokens: 77, signal });
    expect(asked).toMatchObject({
      format: { type: 'json_schema', schema },
      sampling: { temperature: 0, topK: 1 },
      thinking: false,
      maxTokens: 77,
    });
  });

  it('has the words of every page once and in order, however small the context, told of it or not', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 30 }),
        fc.integer({ min: 1_000, max: 20_000 }),
        fc.boolean(),
        async (lengths, contextTokens, told) => {
          let n = 0;
          const pages = lengths.map((length) => Array.from({ length }, () => `w${n++}`).join(' '));
          const { calls, generate } = reader(contextTokens);
          const result = await documentAnnotation({
            pages,
            schema,
            generate,
            ...(told && { contextTokens, maxTokens: 200 }),
            signal,
          });
          if (result.error === null) {
            const words = result.annotation === null ? [] : JSON.parse(result.annotation).words;
            // A page too long for a call is cut at a line or, where it has none, anywhere.
            expect(words.join('')).toBe(pages.join(' ').replaceAll(/\s/g, ''));
            if (told) expect(calls.every((call) => call.length / 3 <= contextTokens)).toBe(true);
          } else {
            // All words once more have to fit a call, with two parts at least.
            expect(result.error.code).toBe('context_length_exceeded');
            expect(pages.join(' ').length).toBeGreaterThan(contextTokens);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('reads nothing if there is nothing to read', async () => {
    const { calls, generate } = reader(1_000);
    const result = await documentAnnotation({ pages: ['', ' \n'], schema, generate, signal });
    expect(result).toMatchObject({ annotation: null, error: null });
    expect(calls).toEqual([]);
  });

  it.each([
    ['annotation_truncated', async () => answer('{"words":["a', 'length')],
    ['invalid_annotation', async () => answer('{"words":')],
    ['invalid_schema', () => Promise.reject(new EngineError('bad_request', 'no such schema'))],
    ['context_length_exceeded', () => Promise.reject(new EngineError('context_overflow', 'too long'))],
  ])('says %s instead of an annotation', async (code, generate) => {
    const result = await documentAnnotation({ pages: ['a b c', 'd e f'], schema, generate, signal });
    expect(result).toMatchObject({ annotation: null, error: { status: 400, code } });
  });

  it('counts the calls of a failed annotation', async () => {
    let calls = 0;
    const generate = async (request: GenerateRequest) =>
      shown(request).includes('<part>') ? answer('{', 'length') : answer(`{"n":${calls++}}`);
    const pages = Array.from({ length: 4 }, () => 'word '.repeat(500));
    const result = await documentAnnotation({ pages, schema, generate, contextTokens: 1_500, signal });
    expect(result.error?.code).toBe('annotation_truncated');
    expect(calls).toBeGreaterThan(1);
    expect(result.usage.input_tokens).toBe((calls + 1) * 100);
  });

  it('leaves what may pass, and the end of the item, to the caller', async () => {
    const died = new EngineError('engine_failed', 'busy');
    await expect(
      documentAnnotation({ pages: ['a'], schema, generate: () => Promise.reject(died), signal }),
    ).rejects.toBe(died);
    const ended = AbortSignal.abort(new Error('out of time'));
    const { generate } = reader(1_000);
    await expect(documentAnnotation({ pages: ['a'], schema, generate, signal: ended })).rejects.toThrow('out of time');
  });
});
