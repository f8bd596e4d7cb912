import { z } from 'zod';
import type { Job, Outputs } from './job.ts';
import type { Problem } from './state.ts';

export interface OcrJobOptions {
  format: 'md' | 'json';
  /** A file for each page. */
  pages: boolean;
  model: string;
  /** JSON schema of what to extract from each document. */
  schema?: { name: string; schema: Record<string, unknown> };
  annotationPrompt?: string;
  /** Which pages, `0-5,7`. */
  select?: string;
  textLayer?: string;
  prompt?: string;
  dpi?: number;
  maxTokens?: number;
}

const EXTENSIONS: ReadonlySet<string> = new Set(
  'pdf png jpg jpeg jpe jfif webp tif tiff heic heif gif avif'.split(' '),
);

const fault = z.object({ code: z.string().nullable(), message: z.string() });
const filters = z.record(z.string(), z.object({ filtered: z.boolean().optional() }).nullable());

/** What this reads of an answer. */
const OcrBody = z.object({
  pages: z.array(
    z.object({
      index: z.number(),
      markdown: z.string(),
      error: fault.nullish(),
      truncated: z.boolean().nullish(),
      repeated: z.boolean().nullish(),
      content_filter_results: filters.nullish(),
    }),
  ),
  document_annotation: z.string().nullish(),
  document_annotation_error: fault.nullish(),
  /** Of the annotation. */
  content_filter_results: filters.nullish(),
});
type OcrBody = z.infer<typeof OcrBody>;

/** Documents and pictures to Markdown. */
export function ocrJob(options: OcrJobOptions): Job {
  const { format, pages, schema } = options;
  return {
    command: 'ocr',
    extensions: EXTENSIONS,
    called: 'documents or pictures',
    endpoint: '/v1/ocr',
    body: {
      model: options.model,
      ...given('pages', options.select),
      ...given('text_layer', options.textLayer),
      ...given('prompt', options.prompt),
      ...given('dpi', options.dpi),
      ...given('max_tokens', options.maxTokens),
      ...(schema === undefined
        ? {}
        : { document_annotation_format: { type: 'json_schema', json_schema: { ...schema, strict: true } } }),
      ...given('document_annotation_prompt', options.annotationPrompt),
    },
    // What kind of file it is, its content says.
    sourceOf: (at) => ({
      document: 'fileId' in at ? { type: 'file', file_id: at.fileId } : { type: 'document_url', document_url: at.url },
    }),
    form: `${format}${pages ? ' pages' : ''}`,
    suffixes: ['.md', '.json', '.pages', '.annotation.json'],
    outputsOf: (body) => outputsOf(OcrBody.parse(body), body, { format, pages }),
  };
}

function outputsOf(answer: OcrBody, body: unknown, options: { format: 'md' | 'json'; pages: boolean }): Outputs {
  const { format, pages } = options;
  const problems = [...answer.pages.flatMap(problemsOf), ...annotationProblems(answer)];
  if (format === 'json') {
    if (!pages) return { files: [{ suffix: '.json', content: json(body) }], problems };
    const whole = z.object({ pages: z.array(z.unknown()) }).parse(body);
    const files = answer.pages.map((page, i) => ({
      suffix: pageSuffix(page.index, 'json'),
      content: json(whole.pages[i]),
    }));
    return { files: [...files, ...annotation(answer)], problems };
  }
  const files = pages
    ? answer.pages.map((page) => ({ suffix: pageSuffix(page.index, 'md'), content: text(page.markdown) }))
    : [{ suffix: '.md', content: joined(answer) }];
  return { files: [...files, ...annotation(answer)], problems };
}

function annotation({ document_annotation: made }: OcrBody): Outputs['files'] {
  if (made == null) return [];
  try {
    return [{ suffix: '.annotation.json', content: json(JSON.parse(made)) }];
  } catch {
    return [{ suffix: '.annotation.json', content: text(made) }];
  }
}

function annotationProblems(answer: OcrBody): Problem[] {
  const { document_annotation_error: error } = answer;
  if (error != null) return [{ ...error, at: 'annotation' }];
  return isBlocked(answer) ? [{ code: 'content_filter', message: 'a filter blocked it', at: 'annotation' }] : [];
}

function isBlocked({ content_filter_results: results }: Pick<OcrBody, 'content_filter_results'>): boolean {
  return Object.values(results ?? {}).some((filter) => filter?.filtered === true);
}

/**
 * Pages of one document under each other. Where there are several, a comment that no renderer shows says where each begins, and
 * why it has no text if that is not as the page is.
 */
function joined({ pages }: OcrBody): string {
  if (pages.length === 1) return text(pages[0]?.markdown ?? '');
  return text(pages.map((page) => `<!-- ${heading(page)} -->\n\n${page.markdown}`.trimEnd()).join('\n\n'));
}

function heading(page: OcrBody['pages'][number]): string {
  const [problem] = page.markdown === '' ? problemsOf(page) : [];
  // Two hyphens would end the comment.
  return `page ${page.index + 1}${problem === undefined ? '' : `: ${problem.message.replaceAll(/-{2,}/g, '-')}`}`;
}

function problemsOf(page: OcrBody['pages'][number]): Problem[] {
  const at = `page ${page.index + 1}`;
  if (page.error != null) return [{ ...page.error, at }];
  if (isBlocked(page)) return [{ code: 'content_filter', message: 'a filter blocked its text', at }];
  if (page.truncated === true)
    return [{ code: 'truncated', message: 'its text was cut off at the most tokens a page may take', at }];
  if (page.repeated === true)
    return [{ code: 'repeated', message: 'the model repeated itself; the repetition was cut off', at }];
  return [];
}

const pageSuffix = (index: number, extension: string) => `.pages/${String(index + 1).padStart(4, '0')}.${extension}`;
const text = (content: string) => (content === '' ? '' : `${content.trimEnd()}\n`);
const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

/** A parameter of the body if it was given. */
export function given(name: string, value: unknown): Record<string, unknown> {
  return value === undefined ? {} : { [name]: value };
}
