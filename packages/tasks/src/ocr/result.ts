import type { OcrPage, OcrResponse, Usage } from '@batchmill/contract';
import type { JudgedSegment, Segment } from '@batchmill/safety';
import type { Draft } from '../port.ts';
import type { DocumentAnnotation } from './annotation.ts';
import type { ReadPage } from './read-page.ts';
import { takeTables } from './tables.ts';

export interface OcrDraft extends Draft {
  finish(judged: JudgedSegment[]): OcrResponse;
}

export interface ResultOptions {
  model: string;
  /** Size of the document's file. */
  bytes: number;
  tableFormat: 'markdown' | 'html' | null;
  usage: Usage;
}

/**
 * The answer for a document: the text of each page is judged by itself, and the annotation. What is withheld of one page does
 * not take the others with it. Tables are taken out of what the filters let through.
 */
export function ocrDraft(
  pages: readonly ReadPage[],
  { annotation, error }: DocumentAnnotation,
  { model, bytes, tableFormat, usage }: ResultOptions,
): OcrDraft {
  const segments: Segment[] = pages.flatMap((page, i) =>
    page.markdown === '' ? [] : [{ id: `pages.${i}.markdown`, text: page.markdown }],
  );
  if (annotation !== null) segments.push({ id: 'document_annotation', text: annotation });
  return {
    segments,
    usage,
    finish(judged) {
      if (judged.length !== segments.length || judged.some((j, i) => j.id !== segments[i]?.id))
        throw new Error('the judgements are not those of this answer');
      const byId = new Map(judged.map((one) => [one.id, one]));
      const annotated = byId.get('document_annotation');
      return {
        pages: pages.map((page, i) => ocrPage(page, byId.get(`pages.${i}.markdown`), tableFormat)),
        model,
        document_annotation: annotated === undefined || annotated.blocked ? null : annotated.text,
        ...(error === null ? {} : { document_annotation_error: { code: error.code, message: error.message } }),
        ...filterResults(annotated),
        usage_info: { pages_processed: pages.filter((page) => page.error === null).length, doc_size_bytes: bytes },
        usage,
      };
    },
  };
}

function ocrPage(
  page: ReadPage,
  judged: JudgedSegment | undefined,
  tableFormat: ResultOptions['tableFormat'],
): OcrPage {
  const { markdown, tables } = takeTables(judged === undefined || judged.blocked ? '' : judged.text, tableFormat);
  return {
    index: page.index,
    markdown,
    images: [],
    ...(tableFormat === null ? {} : { tables }),
    dimensions: page.dimensions,
    source: page.source,
    ...(page.truncated ? { truncated: true } : {}),
    ...(page.repeated ? { repeated: true } : {}),
    ...(page.error === null ? {} : { error: { code: page.error.code, message: page.error.message } }),
    ...filterResults(judged),
  };
}

function filterResults(judged: JudgedSegment | undefined): Pick<OcrPage, 'content_filter_results'> {
  if (judged === undefined || Object.keys(judged.results).length === 0) return {};
  return { content_filter_results: judged.results };
}
