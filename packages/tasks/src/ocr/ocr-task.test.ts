import { newId, RequestError } from '@batchmill/contract';
import { EngineError, type GenerateRequest, type Generation } from '@batchmill/engine';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { TaskContext } from '../port.ts';
import { createTasks } from '../tasks.ts';
import { answer, taskContext } from '../test-context.ts';
import { judgeContext, judges } from '../test-judge.ts';
import { createOcrTask, type OcrOptions } from './ocr-task.ts';
import { encrypted, PROSE, pdf, picture } from './test-documents.ts';

/** Real documents, opened and rendered by the real thing; what reads their pages only says how large the picture is. */
const files = new Map<string, Uint8Array>();
const upload = (bytes: Uint8Array) => {
  const id = newId('file-');
  files.set(id, bytes);
  return { document: { type: 'file', file_id: id } };
};
const pictureOf = (request: GenerateRequest) => {
  const part = request.messages[0]?.content[0];
  return part?.type === 'image' ? part.data : null;
};
const promptOf = (request: GenerateRequest) => {
  const part = request.messages[0]?.content.at(-1);
  return part?.type === 'text' ? part.text : '';
};
const says = (text: string, more: Partial<Generation> = {}) => ({ generate: async () => answer(text, more) });

interface Setting {
  context?: Partial<TaskContext>;
  options?: OcrOptions;
  filter?: 'redact' | 'block';
  kept?: Map<string, string>;
}

async function run(body: Record<string, unknown>, { context: changes = {}, options, filter, kept }: Setting = {}) {
  const asked: GenerateRequest[] = [];
  const { generate = says('Read.').generate, ...others } = changes;
  const { context, store, clear } = await taskContext(
    files,
    {
      ...others,
      generate: (request: GenerateRequest, signal?: AbortSignal) => {
        asked.push(request);
        return generate(request, signal);
      },
    },
    kept,
  );
  try {
    const draft = await createOcrTask(options).run({ model: 'gemma', ...body }, context);
    const judged = await judges[filter ?? 'none'].judge(draft.segments, judgeContext(context.signal));
    return { answer: draft.finish(judged), asked, store };
  } finally {
    await clear();
  }
}
const refused = (status: number, code: string, param: string | null) =>
  expect.objectContaining({ name: 'RequestError', status, code, param });
const never = { openFile: () => Promise.reject(new Error('fetched')) };
const schema = { type: 'object', properties: { total: { type: 'number' } } };
const annotated = { document_annotation_format: { type: 'json_schema', json_schema: { name: 'sum', schema } } };
/** Reads pages as `page`, and fills in the schema with `json`. */
const annotates = (json: string, page = 'Read.', more: Partial<Generation> = {}) => ({
  generate: async (request: GenerateRequest) =>
    request.format.type === 'json_schema' ? answer(json, more) : answer(page),
});

describe('the OCR task', () => {
  it('is found by its endpoint', () => {
    expect(createTasks().get('/v1/ocr')).toMatchObject({ endpoint: '/v1/ocr', inPieces: true });
  });

  it('reads each page: its own text, by the model, or nothing where nothing is', async () => {
    const { answer, asked, store } = await run(upload(await pdf('text', 'scan', 'blank')));
    expect(answer.pages).toMatchObject([
      { index: 0, markdown: expect.stringContaining(PROSE), source: 'text_layer', images: [], dimensions: null },
      { index: 1, markdown: 'Read.', source: 'model', dimensions: { dpi: 200, width: 1167, height: 1653 } },
      { index: 2, markdown: '', source: 'blank', dimensions: { dpi: 200 } },
    ]);
    expect(answer.pages.every((page) => page.tables === undefined && page.error === undefined)).toBe(true);
    expect(answer).toMatchObject({
      model: 'gemma',
      document_annotation: null,
      usage_info: { pages_processed: 3 },
      usage: { input_tokens: 100, output_tokens: 10, total_tokens: 110 },
    });
    expect(answer.usage_info.doc_size_bytes).toBeGreaterThan(1_000);
    expect([...store.kept.keys()].sort()).toEqual(['page-0', 'page-1', 'page-2']);
    expect([store.units(), store.said()]).toEqual([3, 3]);
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({ sampling: { temperature: 0, topK: 1 }, maxTokens: 4_096, thinking: false });
  });

  it('reads a picture, from a data URL too', async () => {
    const png = await picture();
    const image_url = `data:image/png;base64,${png.toString('base64')}`;
    const { answer } = await run({ document: { type: 'image_url', image_url } });
    expect(answer.pages).toMatchObject([
      { index: 0, source: 'model', markdown: 'Read.', dimensions: { dpi: 0, width: 420, height: 595 } },
    ]);
    expect(answer.usage_info).toEqual({ pages_processed: 1, doc_size_bytes: png.length });
  });

  it('reads only the pages asked for, and refuses pages that are not there', async () => {
    const body = upload(await pdf('text', 'text', 'text', 'text'));
    const { answer } = await run({ ...body, pages: '3,0-1' });
    expect(answer.pages.map((page) => page.index)).toEqual([0, 1, 3]);
    await expect(run({ ...body, pages: [4] })).rejects.toEqual(refused(400, 'invalid_pages', 'pages'));
  });

  it('ignores the text layer, or takes nothing else, if told so', async () => {
    const body = upload(await pdf('text', 'scan'));
    const ignored = await run({ ...body, text_layer: 'ignore' });
    expect(ignored.answer.pages.map((page) => page.source)).toEqual(['model', 'model']);
    const only = await run({ ...body, text_layer: 'only' });
    expect(only.asked).toEqual([]);
    expect(only.answer.pages).toMatchObject([
      { source: 'text_layer' },
      { source: 'none', markdown: '', error: { code: 'no_text_layer' } },
    ]);
    expect(only.answer.usage_info.pages_processed).toBe(1);
  });

  it('does without vision where the pages have text of their own', async () => {
    const blind = { context: { image: false } };
    const both = await run(upload(await pdf('text', 'scan')), blind);
    expect(both.answer.pages).toMatchObject([{ source: 'text_layer' }, { error: { code: 'unsupported_modality' } }]);
    await expect(run(upload(await pdf('scan')), blind)).rejects.toMatchObject({
      status: 400,
      code: 'unsupported_modality',
    });
    await expect(
      run({ ...upload(await pdf('text')), text_layer: 'ignore' }, { context: { image: false, ...never } }),
    ).rejects.toEqual(refused(400, 'unsupported_modality', 'document.file_id'));
  });

  it('keeps pictures within the tokens asked for, and these within the setting', async () => {
    const body = { ...upload(await pdf('scan')), dpi: 300 };
    const tokens = async (more: Record<string, unknown>, options: OcrOptions = {}) => {
      const { asked } = await run({ ...body, ...more }, { options });
      const { width = 0, height = 0 } = await sharp(pictureOf(asked[0] ?? Object()) ?? undefined).metadata();
      return (width * height) / 48 ** 2;
    };
    const most = await tokens({});
    expect(most).toBeGreaterThan(900);
    expect(most).toBeLessThanOrEqual(1_120);
    expect(await tokens({ image_tokens: 140 })).toBeLessThanOrEqual(140);
    const bounded = await tokens({ image_tokens: 1_120 }, { imageTokens: 280 });
    expect(bounded).toBeLessThanOrEqual(280);
    expect(bounded).toBeGreaterThan(200);
  });

  it('reads a page of many lines in tiles, top to bottom', async () => {
    const { answer, asked } = await run(upload(await pdf('scan')), {
      context: {
        generate: (() => {
          let tile = 0;
          return async () => ({ ...(await says(`Tile ${tile++}.`).generate()) });
        })(),
      },
      options: { tileLines: 2 },
    });
    expect(asked).toHaveLength(3);
    expect(answer.pages[0]?.markdown.split(/\s*\n\s*/)).toEqual(['Tile 0.', 'Tile 1.', 'Tile 2.']);
    expect(answer.usage.input_tokens).toBe(300);
  });

  it('gives the model the instruction of the request, else of the setting', async () => {
    const body = upload(await pdf('scan'));
    const prompt = async (more: object, options: OcrOptions) =>
      promptOf((await run({ ...body, ...more }, { options })).asked[0] ?? Object());
    expect(await prompt({}, {})).toMatch(/^Read this page\. .*Markdown/);
    expect(await prompt({}, { prompt: 'Set.' })).toBe('Set.');
    expect(await prompt({ prompt: 'Asked.' }, { prompt: 'Set.' })).toBe('Asked.');
  });

  it('says which pages were cut off or went in circles', async () => {
    const body = { ...upload(await pdf('scan')), max_tokens: 5 };
    const cut = await run(body, { context: says('It beg', { finishReason: 'length' }) });
    expect(cut.answer.pages[0]).toMatchObject({ markdown: 'It beg', truncated: true });
    expect(cut.asked[0]?.maxTokens).toBe(5);
    const loop = await run(body, { context: says('Once.\n'.repeat(30)) });
    expect(loop.answer.pages[0]).toMatchObject({ markdown: 'Once.', repeated: true });
    expect((await run(body)).answer.pages[0]).not.toHaveProperty('truncated');
  });

  it('takes tables out of pages', async () => {
    const body = upload(await pdf('scan', 'text'));
    const table = says('Before\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\nAfter');
    const html = await run({ ...body, table_format: 'html' }, { context: table });
    expect(html.answer.pages[0]?.markdown).toBe('Before\n\n[tbl-0.html](tbl-0.html)\n\nAfter');
    expect(html.answer.pages[0]?.tables).toMatchObject([{ id: 'tbl-0.html', format: 'html' }]);
    expect(html.answer.pages[0]?.tables?.[0]?.content).toContain('<td>1</td>');
    expect(html.answer.pages[1]?.tables).toEqual([]);
    const inline = await run(body, { context: table });
    expect(inline.answer.pages[0]?.markdown).toContain('| 1 | 2 |');
  });
});

describe('a document', () => {
  it.each([
    ['with a password', encrypted, 'encrypted_document'],
    ['that is damaged', async () => (await pdf('text')).subarray(0, 60), 'invalid_document'],
    ['that is empty', async () => new Uint8Array(), 'empty_document'],
    ['of another kind', async () => Buffer.from('just text'), 'unsupported_document'],
  ])('%s is refused', async (_, bytes, code) => {
    await expect(run(upload(await bytes()))).rejects.toEqual(refused(400, code, 'document.file_id'));
  });

  it('that is too large, too long, not there or for another model is refused', async () => {
    const body = upload(await pdf('text', 'text'));
    await expect(run(body, { options: { maxBytes: 100 } })).rejects.toEqual(
      refused(400, 'file_too_large', 'document.file_id'),
    );
    await expect(run(body, { options: { maxPages: 1 } })).rejects.toEqual(
      refused(400, 'too_many_pages', 'document.file_id'),
    );
    const missing = { document: { type: 'document_url', document_url: newId('file-') } };
    await expect(run(missing)).rejects.toEqual(refused(400, 'file_not_found', 'document.document_url'));
    await expect(run({ ...body, model: 'gpt' }, { context: never })).rejects.toEqual(
      refused(404, 'model_not_found', 'model'),
    );
    await expect(run({ ...body, stream: true }, { context: never })).rejects.toEqual(
      refused(400, 'unknown_parameter', 'stream'),
    );
  });

  it('with a page that fails delivers the others; if all fail it is that error', async () => {
    const { answer, store } = await run(upload(await pdf('scan', 'damaged', 'text')));
    expect(answer.pages).toMatchObject([
      { source: 'model' },
      { source: 'none', markdown: '', dimensions: null, error: { code: 'invalid_page' } },
      { source: 'text_layer' },
    ]);
    expect(answer.usage_info.pages_processed).toBe(2);
    expect(store.units()).toBe(3);
    await expect(run(upload(await pdf('damaged', 'damaged')))).rejects.toEqual(
      refused(400, 'invalid_page', 'document.file_id'),
    );
  });

  it('with a page that kills the engine, or does not fit it, delivers the others', async () => {
    const crash = new RequestError(500, 'The engine crashed on this item, twice.', { code: 'engine_crash' });
    const fails = (error: Error) => ({ generate: () => Promise.reject(error) });
    const body = upload(await pdf('scan', 'text'));
    for (const [error, code] of [
      [crash, 'engine_crash'],
      [new EngineError('context_overflow', 'too long'), 'context_length_exceeded'],
      [new EngineError('bad_media', 'no picture'), 'invalid_media'],
    ] as const) {
      const { answer } = await run(body, { context: fails(error) });
      expect(answer.pages).toMatchObject([{ error: { code } }, { source: 'text_layer' }]);
    }
    await expect(run(upload(await pdf('scan')), { context: fails(crash) })).rejects.toEqual(
      refused(500, 'engine_crash', null),
    );
  });

  it('is tried again as a whole when the engine fails; pages that were kept are not read again', async () => {
    const body = upload(await pdf('scan', 'scan', 'scan'));
    const kept = new Map<string, string>();
    let calls = 0;
    const broken = new EngineError('engine_failed', 'gone');
    const once = { generate: async () => (++calls === 2 ? Promise.reject(broken) : answer(`Read ${calls}.`)) };
    await expect(run(body, { context: { ...once, pieces: 1 }, kept })).rejects.toBe(broken);
    expect([...kept.keys()]).toEqual(['page-0']);
    const again = await run(body, { context: { ...once, pieces: 1 }, kept });
    expect(again.answer.pages.map((page) => page.markdown)).toEqual(['Read 1.', 'Read 3.', 'Read 4.']);
    expect(again.asked).toHaveLength(2);
    expect(again.answer.usage.input_tokens).toBe(300);
    // A kept page that cannot be read any more is read anew.
    kept.set('page-1', '{"older":true}');
    expect((await run(body, { context: once, kept })).asked).toHaveLength(1);
  });

  it('with a page that is stopped from outside delivers the others', async () => {
    const late = new RequestError(504, 'The piece took too long.', { code: 'item_timeout' });
    const { context, clear } = await taskContext(files, {
      ...says('Read.'),
      piece: (name, { work }) => (name === 'page-0' ? Promise.reject(late) : work(new AbortController().signal)),
    });
    const draft = await createOcrTask().run({ model: 'gemma', ...upload(await pdf('scan', 'text')) }, context);
    await clear();
    expect(
      draft.finish(draft.segments.map((s) => ({ ...s, blocked: false, redacted: false, results: {}, findings: [] })))
        .pages,
    ).toMatchObject([{ error: { code: 'item_timeout' } }, { source: 'text_layer' }]);
  });

  it('has no more pages under way than are wanted, and stops with the item', async () => {
    const body = upload(await pdf(...Array<'scan'>(7).fill('scan')));
    const { store } = await run(body, { context: { pieces: 3 } });
    expect(store.most()).toBe(3);
    const stop = new AbortController();
    const reason = new Error('cancelled');
    let calls = 0;
    const stopped = run(body, {
      context: {
        pieces: 2,
        signal: stop.signal,
        generate: async () => {
          calls++;
          stop.abort(reason);
          return answer('Read.');
        },
      },
    });
    await expect(stopped).rejects.toBe(reason);
    expect(calls).toBeLessThanOrEqual(2);
  });
});

describe('the annotation', () => {
  it('is made of the pages, kept, and judged', async () => {
    const kept = new Map<string, string>();
    const body = { ...upload(await pdf('scan', 'text')), ...annotated, document_annotation_prompt: 'The sum?' };
    const { answer, asked } = await run(body, { context: annotates('{"total":3}', 'Total: 3'), kept });
    expect(answer.document_annotation).toBe('{"total":3}');
    expect(answer.usage.input_tokens).toBe(200);
    const prompt = promptOf(asked.at(-1) ?? Object());
    for (const part of ['The sum?', 'Total: 3', PROSE]) expect(prompt).toContain(part);
    expect(asked.at(-1)?.format).toEqual({ type: 'json_schema', schema });
    const again = await run(body, { context: says('nothing'), kept });
    expect(again.asked).toEqual([]);
    expect(again.answer).toEqual(answer);
  });

  it('may fail without the pages', async () => {
    const body = { ...upload(await pdf('scan')), ...annotated };
    const { answer } = await run(body, { context: annotates('{"tot', 'Read.', { finishReason: 'length' }) });
    expect(answer).toMatchObject({
      pages: [{ markdown: 'Read.' }],
      document_annotation: null,
      document_annotation_error: { code: 'annotation_truncated' },
    });
  });
});

describe('the filters', () => {
  const mail = 'Write to jane@example.com';

  it('that block a page leave the others, and the annotation', async () => {
    const body = { ...upload(await pdf('scan', 'text')), ...annotated, table_format: 'markdown' };
    const { answer } = await run(body, { context: annotates('{"total":3}', mail), filter: 'block' });
    expect(answer.pages[0]).toMatchObject({ markdown: '', tables: [] });
    expect(JSON.stringify(answer.pages[0]?.content_filter_results)).toContain('"filtered":true');
    expect(answer.pages[1]?.markdown).toContain(PROSE);
    expect(answer.pages[1]).not.toHaveProperty('error');
    expect(answer.document_annotation).toBe('{"total":3}');
    expect(JSON.stringify(answer)).not.toContain('jane');
  });

  it('that block the annotation leave the pages', async () => {
    const body = { ...upload(await pdf('scan')), ...annotated };
    const { answer } = await run(body, { context: annotates('{"mail":"jane@example.com"}'), filter: 'block' });
    expect(answer).toMatchObject({ pages: [{ markdown: 'Read.' }], document_annotation: null });
    expect(JSON.stringify(answer.content_filter_results)).toContain('"filtered":true');
  });

  it('redact what is in tables too', async () => {
    const body = { ...upload(await pdf('scan')), table_format: 'html' };
    const context = says('| who |\n| --- |\n| jane@example.com |');
    const { answer } = await run(body, { context, filter: 'redact' });
    expect(answer.pages[0]?.tables).toHaveLength(1);
    expect(JSON.stringify(answer)).not.toContain('jane@');
  });
});
