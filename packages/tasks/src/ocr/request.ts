import { invalid, OcrRequest, RequestError } from '@batchmill/contract';
import { wrong } from '../refusals.ts';

/** A line, understood. */
export interface Reading {
  model: string;
  /** Where the document is, and the parameter that says so. */
  source: string;
  param: string;
  /** Pages asked for, as given; `null`: all. */
  pages: number[] | string | null;
  textLayer: 'auto' | 'ignore' | 'only';
  tableFormat: 'markdown' | 'html' | null;
  annotation: { schema: Record<string, unknown>; prompt: string | null } | null;
  dpi: number | null;
  imageTokens: number | null;
  maxTokens: number | null;
  prompt: string | null;
}

/** @throws RequestError 400 that names the parameter. */
export function parseOcr(body: Record<string, unknown>): Reading {
  if (body.bbox_annotation_format !== undefined && body.bbox_annotation_format !== null)
    throw wrong('bbox_annotation_format', 'pictures inside pages are not described; only null is accepted');
  const { bbox_annotation_format: _, ...rest } = body;
  const parsed = OcrRequest.safeParse(rest);
  if (!parsed.success) throw invalid(parsed.error, rest);
  const request = parsed.data;
  const annotation = request.document_annotation_format?.json_schema.schema;
  if (annotation === undefined && typeof request.document_annotation_prompt === 'string')
    throw wrong('document_annotation_prompt', "it needs 'document_annotation_format'");
  return {
    model: request.model,
    ...sourceOf(request.document),
    pages: request.pages ?? null,
    textLayer: request.text_layer ?? 'auto',
    tableFormat: request.table_format ?? null,
    annotation:
      annotation === undefined ? null : { schema: annotation, prompt: request.document_annotation_prompt ?? null },
    dpi: request.dpi ?? null,
    imageTokens: request.image_tokens ?? null,
    maxTokens: request.max_tokens ?? null,
    prompt: request.prompt ?? null,
  };
}

function sourceOf(document: OcrRequest['document']): Pick<Reading, 'source' | 'param'> {
  switch (document.type) {
    case 'document_url':
      return { source: document.document_url, param: 'document.document_url' };
    case 'image_url': {
      const { image_url } = document;
      return { source: typeof image_url === 'string' ? image_url : image_url.url, param: 'document.image_url' };
    }
    case 'file':
      return { source: document.file_id, param: 'document.file_id' };
  }
}

/**
 * The pages a request asks for, ascending, each once. A range ends with the document at the latest, so that "the first ten" can be
 * asked of documents of any length.
 * @throws RequestError 400 `invalid_pages` if there is no such page, or none of a range.
 */
export function selectPages(asked: number[] | string | null, count: number): number[] {
  if (asked === null) return Array.from({ length: count }, (_, i) => i);
  const chosen = new Set<number>();
  const ranges = typeof asked === 'string' ? asked.split(',').map(rangeOf) : asked.map((page) => [page, page] as const);
  for (const [first, last] of ranges) {
    const end = Math.min(last, count - 1);
    if (first >= count || first > last)
      throw new RequestError(
        400,
        `There is no page ${first === last ? first : `${first}-${last}`}: the document has ${count} page${count === 1 ? '' : 's'}, counted from 0.`,
        { code: 'invalid_pages', param: 'pages' },
      );
    for (let page = first; page <= end; page++) chosen.add(page);
  }
  return [...chosen].sort((a, b) => a - b);
}

function rangeOf(range: string): readonly [number, number] {
  const [first = '', last = first] = range.split('-');
  return [Number(first), Number(last)];
}
