import { join } from 'node:path';
import { addUsage, NO_USAGE, RequestError, Usage } from '@batchmill/contract';
import { type FetchOptions, openDocument } from '@batchmill/media';
import { z } from 'zod';
import { pieceError } from '../piece.ts';
import type { Task, TaskContext } from '../port.ts';
import { about, checkModel } from '../refusals.ts';
import { saveSource } from '../source/save-source.ts';
import { type DocumentAnnotation, documentAnnotation } from './annotation.ts';
import { readDocument } from './read-document.ts';
import { KeptError, type ReadPage } from './read-page.ts';
import { parseOcr, type Reading, selectPages } from './request.ts';
import { type OcrDraft, ocrDraft } from './result.ts';

export interface OcrOptions {
  /** What the model is told to do with a page. The default is right for Gemma 4. */
  prompt?: string;
  /** Resolution at which a PDF's pages are rendered. Default 200. */
  dpi?: number;
  /** Most tokens one picture of a page may cost. Default 1,120; the engine must be started for as many. */
  imageTokens?: number;
  /** Most lines of print in one picture; a page with more is read in tiles. Default: no such bound. */
  tileLines?: number | null;
  /** Most tokens written for one picture of a page. Default 4,096. */
  maxTokens?: number;
  /** Longest document. Default 5,000 pages. */
  maxPages?: number;
  /** Largest file, in bytes. Default 512 MiB. */
  maxBytes?: number;
  /** Context of one slot, for annotations of long documents; without it the engine is asked what is too long. */
  contextTokens?: number;
  /** How URLs are fetched. `timeoutMs` is 15 minutes by default: scans are large. */
  fetch?: Partial<Omit<FetchOptions, 'maxBytes' | 'signal'>>;
}

export interface OcrTask extends Task {
  run(body: Record<string, unknown>, context: TaskContext): Promise<OcrDraft>;
}

const PROMPT = `Read this page. Write all of its text as Markdown, in the order in which it is read, exactly as it is printed: headings as headings, lists as lists, tables as Markdown tables.
Only output the text of the page, no comments and no code fence.`;

/** `/v1/ocr`: a PDF or a picture in, Markdown of each page out, and JSON of the whole document if asked for. */
export function createOcrTask(options: OcrOptions = {}): OcrTask {
  const imageTokens = options.imageTokens ?? 1_120;
  const source = {
    maxBytes: options.maxBytes ?? 512 * 2 ** 20,
    fetch: { timeoutMs: 900_000, ...options.fetch },
  };
  return {
    endpoint: '/v1/ocr',
    inPieces: true,
    async run(body, context) {
      const request = parseOcr(body);
      checkModel(request.model, context.models);
      // Before anything is fetched for nothing: without vision only a PDF's own text can be had.
      if (!context.image && request.textLayer === 'ignore') throw noVision(request, context);
      context.signal.throwIfAborted();
      const file = join(await context.folder(), 'document');
      try {
        await saveSource(request.source, file, context, source);
        // Waits for pages of other documents, and has a time limit of its own.
        const document = await context.untimed(() =>
          openDocument(file, { maxPages: options.maxPages ?? 5_000, signal: context.signal }),
        );
        const selected = selectPages(request.pages, document.pages);
        context.length(selected.length);
        const pages = await readDocument(
          document,
          selected,
          {
            textLayer: request.textLayer,
            prompt: request.prompt ?? options.prompt ?? PROMPT,
            dpi: request.dpi ?? options.dpi ?? 200,
            imageTokens: Math.min(request.imageTokens ?? imageTokens, imageTokens),
            tileLines: options.tileLines ?? null,
            maxTokens: request.maxTokens ?? options.maxTokens ?? 4_096,
          },
          context,
        );
        const [first] = pages;
        // A document of which nothing can be read is an error, not an empty answer.
        if (first?.error && pages.every((page) => page.error !== null)) {
          const { status, code } = first.error;
          throw new RequestError(status, allFailed(pages), code === null ? {} : { code });
        }
        const annotation = await annotate(request, pages, options, context);
        return ocrDraft(pages, annotation, {
          model: context.models[0] ?? request.model,
          bytes: document.bytes,
          tableFormat: request.tableFormat,
          usage: [...pages, annotation].map((part) => part.usage).reduce(addUsage),
        });
      } catch (error) {
        context.signal.throwIfAborted();
        throw about(request.param, error);
      }
    },
  };
}

function allFailed(pages: readonly ReadPage[]): string {
  const why = pages[0]?.error?.message ?? '';
  return pages.length === 1 ? why : `None of ${pages.length} pages could be read. Of the first: ${why}`;
}

const Annotated = z.strictObject({ annotation: z.string().nullable(), error: KeptError.nullable(), usage: Usage });
const NOT_ANNOTATED: DocumentAnnotation = { annotation: null, error: null, usage: NO_USAGE };

/** A piece like the pages: it has its own time, is not made again, and the pages are delivered without it if it fails. */
async function annotate(
  { annotation: asked }: Reading,
  pages: readonly ReadPage[],
  { contextTokens, maxTokens }: OcrOptions,
  context: TaskContext,
): Promise<DocumentAnnotation> {
  if (asked === null) return NOT_ANNOTATED;
  try {
    return await context.piece('annotation', {
      read: (kept) => Annotated.parse(kept),
      work: (signal) =>
        documentAnnotation({
          pages: pages.map((page) => page.markdown),
          schema: asked.schema,
          ...(asked.prompt === null ? {} : { prompt: asked.prompt }),
          generate: (request) => context.generate(request, signal),
          ...(contextTokens === undefined ? {} : { contextTokens }),
          ...(maxTokens === undefined ? {} : { maxTokens }),
          signal,
        }),
      texts: ({ annotation }) => (annotation === null ? [] : [annotation]),
      units: () => 0,
    });
  } catch (error) {
    context.signal.throwIfAborted();
    const own = pieceError(error);
    if (own === null) throw error;
    return { ...NOT_ANNOTATED, error: own };
  }
}

function noVision({ model, param }: Reading, { models }: TaskContext): RequestError {
  return new RequestError(400, `The model '${models[0] ?? model}' takes no pictures.`, {
    code: 'unsupported_modality',
    param,
  });
}
