import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { RequestError } from '@batchmill/contract';
import { metrics, timed } from '@batchmill/telemetry';
import { fileTypeFromFile } from 'file-type';
import { Piscina } from 'piscina';
import { deadline } from '../deadline.ts';
import { createLimit } from '../limit.ts';
import type { PageOptions, PreparedPage } from './page.ts';
import type { DocumentFile, PageAnswer, PageJob, PageWork } from './pages-worker.ts';
import type { TextLayer } from './text-layer.ts';

export interface DocumentOptions {
  maxPages: number;
  /** Most time for opening the document, and for each page. Default 60: no page takes so long unless it was made to. */
  maxSeconds?: number;
  signal: AbortSignal;
}

/** A document on disk, read page by page. Pages are counted from 0. */
export interface Document {
  kind: 'pdf' | 'image';
  /** Media type, by its first bytes. */
  type: string;
  pages: number;
  /** Size of the file. */
  bytes: number;
  /** What the file says is written on a page; `null` if it says nothing. @throws RequestError as `prepare` */
  textLayer(index: number, signal: AbortSignal): Promise<TextLayer | null>;
  /**
   * A page as pictures for the engine.
   * @throws RequestError 400 `invalid_page` if this page cannot be rendered, alone or in time, or is too large. If `signal`
   *   aborts, its reason is thrown.
   */
  prepare(index: number, options: PageOptions, signal: AbortSignal): Promise<PreparedPage>;
}

const PICTURES = ['image/png', 'image/apng', 'image/jpeg', 'image/webp', 'image/tiff', 'image/gif', 'image/avif'];
const HEIC = ['image/heic', 'image/heif', 'image/heic-sequence', 'image/heif-sequence'];

const THREADS = Math.max(1, availableParallelism() - 1);
// The pool has a queue too, but waiting in it would count as time spent.
const limit = createLimit(THREADS);

// Rendering is pure computing and would hold up everything else in the process. Threads start when first needed and end
// when idle; one that does not come back is ended, and its page with it.
let pool: Piscina<PageJob, PageWork> | undefined;
const threads = () =>
  (pool ??= new Piscina<PageJob, PageWork>({
    filename: new URL('./pages-worker.ts', import.meta.url).href,
    minThreads: 0,
    maxThreads: THREADS,
    idleTimeout: 30_000,
    concurrentTasksPerWorker: 1,
  }));

/** Ends the threads there are as soon as each has done what it is at; the next job begins others. */
function endThreads(): void {
  const old = pool;
  pool = undefined;
  void old?.close().catch(() => {});
}

/**
 * Opens a PDF, or a picture (PNG, JPEG, WebP, GIF, AVIF, HEIC; TIFF with a page in each frame), as pages to be read.
 * @throws RequestError 400: `empty_document`, `unsupported_document` (another kind of file), `invalid_document` (damaged),
 *   `encrypted_document` (needs a password), `too_many_pages`. If `signal` aborts, its reason is thrown.
 */
export async function openDocument(
  path: string,
  { maxPages, maxSeconds = 60, signal }: DocumentOptions,
): Promise<Document> {
  const { size: bytes } = await stat(path);
  if (bytes === 0) throw new RequestError(400, 'The document is empty.', { code: 'empty_document' });
  const type = (await fileTypeFromFile(path))?.mime;
  const file = { path, bytes, format: formatOf(type) };
  const ask = (job: PageJob, own: AbortSignal) => answerOf(job, maxSeconds, own);
  const answer = await ask({ ask: 'pages', file }, signal);
  if (!('pages' in answer)) throw refusedDocument(answer, file);
  const { pages } = answer;
  if (pages === 0) throw new RequestError(400, 'The document has no pages.', { code: 'empty_document' });
  if (pages > maxPages)
    throw new RequestError(400, `The document has ${pages} pages; at most ${maxPages} are read.`, {
      code: 'too_many_pages',
    });
  return {
    kind: file.format === 'pdf' ? 'pdf' : 'image',
    type: type ?? 'application/octet-stream',
    pages,
    bytes,
    textLayer: async (index, own) => {
      if (file.format !== 'pdf') return null;
      const found = await ask({ ask: 'text', file, index }, own);
      if (!('text' in found)) throw refusedPage(found);
      return found.text?.text === '' ? null : found.text;
    },
    prepare: async (index, options, own) => {
      const made = await ask({ ask: 'prepare', file, index, options }, own);
      if (!('page' in made)) throw refusedPage(made);
      return made.page;
    },
  };
}

function formatOf(type: string | undefined): DocumentFile['format'] {
  if (type === 'application/pdf') return 'pdf';
  if (type !== undefined && PICTURES.includes(type)) return 'picture';
  if (type !== undefined && HEIC.includes(type)) return 'heic';
  throw new RequestError(
    400,
    `The document is ${type ?? 'of an unknown kind'}; PDF, PNG, JPEG, WebP, TIFF, GIF, AVIF and HEIC are read.`,
    { code: 'unsupported_document' },
  );
}

/** What the threads' jobs are called where they are measured. */
const STEPS = { pages: 'document', text: 'text_layer', prepare: 'page' } as const;

async function answerOf(job: PageJob, maxSeconds: number, signal: AbortSignal): Promise<PageAnswer> {
  return limit(async () => {
    signal.throwIfAborted();
    const time = deadline(maxSeconds * 1_000, signal);
    try {
      const { answer, spent } = await timed(
        (s) => metrics.mediaSeconds.observe({ step: STEPS[job.ask] }, s),
        () => threads().run(job, { signal: time.signal }),
      );
      if (spent) endThreads();
      return answer;
    } catch (error) {
      signal.throwIfAborted();
      if (time.expired()) return { refused: 'damaged', message: `it takes longer than ${maxSeconds} s` };
      throw error;
    } finally {
      time.clear();
    }
  });
}

function refusedDocument(answer: PageAnswer, { format }: DocumentFile): RequestError {
  const what = format === 'pdf' ? 'The PDF' : 'The picture';
  if (!('refused' in answer)) throw new Error('a thread gave another answer than it was asked for');
  if (answer.refused === 'encrypted')
    return new RequestError(400, `${what} is encrypted: ${answer.message}.`, { code: 'encrypted_document' });
  return new RequestError(400, `${what} cannot be opened: ${answer.message}.`, { code: 'invalid_document' });
}

/** Which page it is, whoever asked knows. */
function refusedPage(answer: PageAnswer): RequestError {
  if (!('refused' in answer)) throw new Error('a thread gave another answer than it was asked for');
  return new RequestError(400, `The page cannot be read: ${answer.message}.`, { code: 'invalid_page' });
}
