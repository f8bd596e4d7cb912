import { RequestError } from '@batchmill/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseOcr, selectPages } from './request.ts';

const refusal = (work: () => unknown) => {
  try {
    work();
  } catch (error) {
    if (error instanceof RequestError)
      return { status: error.status, code: error.code, param: error.param, message: error.message };
    throw error;
  }
  return null;
};
const line = (more: Record<string, unknown> = {}) => ({
  model: 'gemma',
  document: { type: 'document_url', document_url: 'https://a.example/1.pdf' },
  ...more,
});
const refused = (more: Record<string, unknown>) => refusal(() => parseOcr(line(more)));
const schema = { type: 'object', properties: { total: { type: 'number' } } };
const annotation = { type: 'json_schema', json_schema: { name: 'invoice', schema, strict: true } };

describe('an OCR line', () => {
  it('names its document in each of the three ways', () => {
    const named = (document: unknown) => {
      const { source, param } = parseOcr(line({ document }));
      return [source, param];
    };
    expect(named({ type: 'document_url', document_url: 's3://scans/1.pdf', document_name: 'one' })).toEqual([
      's3://scans/1.pdf',
      'document.document_url',
    ]);
    expect(named({ type: 'image_url', image_url: 'data:image/png;base64,AAAA' })).toEqual([
      'data:image/png;base64,AAAA',
      'document.image_url',
    ]);
    expect(named({ type: 'image_url', image_url: { url: 'https://a.example/1.png', detail: 'high' } })).toEqual([
      'https://a.example/1.png',
      'document.image_url',
    ]);
    expect(named({ type: 'file', file_id: 'file-0198f3c2a1b07c' })).toEqual([
      'file-0198f3c2a1b07c',
      'document.file_id',
    ]);
  });

  it('takes every parameter, and null for none', () => {
    const nothing = {
      model: 'gemma',
      source: 'https://a.example/1.pdf',
      param: 'document.document_url',
      pages: null,
      textLayer: 'auto',
      tableFormat: null,
      annotation: null,
      dpi: null,
      imageTokens: null,
      maxTokens: null,
      prompt: null,
    };
    const all = {
      pages: '0-5,7',
      text_layer: 'only',
      table_format: 'html',
      document_annotation_format: annotation,
      document_annotation_prompt: 'The sum.',
      dpi: 300,
      image_tokens: 560,
      max_tokens: 100,
      prompt: 'Read.',
      include_image_base64: false,
      image_limit: 3,
      image_min_size: 10,
      extract_header: false,
      extract_footer: false,
      include_blocks: false,
      confidence_scores_granularity: null,
      bbox_annotation_format: null,
      id: 'x',
    };
    expect(parseOcr(line())).toEqual(nothing);
    expect(parseOcr(line(Object.fromEntries(Object.keys(all).map((name) => [name, null]))))).toEqual(nothing);
    expect(parseOcr(line(all))).toEqual({
      ...nothing,
      pages: '0-5,7',
      textLayer: 'only',
      tableFormat: 'html',
      annotation: { schema, prompt: 'The sum.' },
      dpi: 300,
      imageTokens: 560,
      maxTokens: 100,
      prompt: 'Read.',
    });
  });

  it.each([
    [{ document: undefined }, 'missing_required_parameter', 'document'],
    [{ document: { type: 'file' } }, 'missing_required_parameter', 'document.file_id'],
    [{ document: { type: 'html', html: 'x' } }, 'invalid_value', 'document.type'],
    [{ pages: '1-' }, 'invalid_value', 'pages'],
    [{ pages: [-1] }, 'invalid_value', 'pages.0'],
    [{ pages: [] }, 'invalid_value', 'pages'],
    [{ dpi: 71 }, 'invalid_value', 'dpi'],
    [{ image_tokens: 2_000 }, 'invalid_value', 'image_tokens'],
    [{ max_tokens: 0 }, 'invalid_value', 'max_tokens'],
    [{ text_layer: 'never' }, 'invalid_value', 'text_layer'],
    [{ table_format: 'csv' }, 'invalid_value', 'table_format'],
    [{ extract_header: true }, 'invalid_value', 'extract_header'],
    [{ include_image_base64: true }, 'invalid_value', 'include_image_base64'],
    [{ include_blocks: true }, 'invalid_value', 'include_blocks'],
    [{ confidence_scores_granularity: 'page' }, 'invalid_value', 'confidence_scores_granularity'],
    [{ bbox_annotation_format: annotation }, 'invalid_value', 'bbox_annotation_format'],
    [{ document_annotation_prompt: 'x' }, 'invalid_value', 'document_annotation_prompt'],
    [{ stream: false }, 'unknown_parameter', 'stream'],
  ])('with %j is refused by name', (more, code, param) => {
    expect(refused(more)).toMatchObject({ status: 400, code, param });
  });
});

describe('the pages asked for', () => {
  it('come in order, each once', () => {
    expect(selectPages(null, 3)).toEqual([0, 1, 2]);
    expect(selectPages(' 7, 0 - 2,1 ', 8)).toEqual([0, 1, 2, 7]);
    expect(selectPages([4, 0, 4], 5)).toEqual([0, 4]);
    // A range ends with the document, without counting further.
    expect(selectPages(`1-${'9'.repeat(400)}`, 4)).toEqual([1, 2, 3]);
  });

  it('must be there; the answer says how many there are', () => {
    const outside = (pages: string | number[], count = 3) => refusal(() => selectPages(pages, count));
    expect(outside([3])).toMatchObject({ status: 400, code: 'invalid_pages', param: 'pages' });
    expect(outside([3])?.message).toMatch(/no page 3: the document has 3 pages, counted from 0/);
    expect(outside('1', 1)?.message).toMatch(/has 1 page, counted/);
    expect(outside('2-1')?.code).toBe('invalid_pages');
    expect(outside('0,3-9')?.message).toMatch(/no page 3-9: the document has 3 pages/);
    expect(outside([0, 3])?.code).toBe('invalid_pages');
  });

  it('are the same as ranges and as a list', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(40), fc.nat(8)), { minLength: 1, maxLength: 8 }), (ranges) => {
        const text = ranges.map(([first, more]) => (more === 0 ? `${first}` : `${first}-${first + more}`)).join(',');
        const list = ranges.flatMap(([first, more]) => Array.from({ length: more + 1 }, (_, i) => first + i));
        const pages = selectPages(text, 49);
        expect(pages).toEqual(selectPages(list, 49));
        expect(pages).toEqual([...new Set(list)].sort((a, b) => a - b));
      }),
    );
  });
});
