import { z } from 'zod';
import type { Usage } from './batch.ts';
import type { ContentFilterResults } from './chat.ts';

const PAGES = /^\s*\d+(\s*-\s*\d+)?(\s*,\s*\d+(\s*-\s*\d+)?)*\s*$/;
const off = (why = 'is not served') => z.literal(false, `${why}; only false is accepted`).nullable().optional();

/**
 * `POST /v1/ocr` as a line of a batch, in the shape of Mistral's OCR API. Objects are strict, so a parameter that is not
 * served is refused by name instead of being ignored.
 */
export const OcrRequest = z.strictObject({
  model: z.string().min(1),
  /** Each URL may be `data:`, `https:`, `s3:` or a `file-…` id. */
  document: z.discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('document_url'),
      document_url: z.string().min(1),
      document_name: z.string().nullable().optional(),
    }),
    z.strictObject({
      type: z.literal('image_url'),
      image_url: z.union([
        z.string().min(1),
        z.strictObject({ url: z.string().min(1), detail: z.string().nullable().optional() }),
      ]),
    }),
    z.strictObject({ type: z.literal('file'), file_id: z.string().min(1) }),
  ]),
  /** Pages to read, counted from 0: `"0-5,7"` or `[0, 7]`. A range ends with the document at the latest. All by default. */
  pages: z
    .union([z.array(z.number().int().min(0)).min(1), z.string().regex(PAGES, 'must be like "0-5,7"')])
    .nullable()
    .optional(),
  /** JSON by this schema, read from the whole document. */
  document_annotation_format: z
    .strictObject({
      type: z.literal('json_schema'),
      json_schema: z.strictObject({
        name: z.string().optional(),
        description: z.string().nullable().optional(),
        schema: z.record(z.string(), z.unknown()),
        strict: z.boolean().nullable().optional(),
      }),
    })
    .nullable()
    .optional(),
  document_annotation_prompt: z.string().min(1).max(10_000).nullable().optional(),
  /** Tables: in the Markdown, or taken out of it as Markdown or HTML. */
  table_format: z.enum(['markdown', 'html']).nullable().optional(),
  /** Extension. `auto`: a PDF's own text where it is good. `ignore`: pages are always read. `only`: never. */
  text_layer: z.enum(['auto', 'ignore', 'only']).nullable().optional(),
  /** Extension: resolution at which a PDF's pages are rendered. */
  dpi: z.number().int().min(72).max(600).nullable().optional(),
  /** Extension: most tokens one picture of a page may cost. */
  image_tokens: z.number().int().min(70).max(1_120).nullable().optional(),
  /** Extension: most tokens written for one picture of a page. */
  max_tokens: z.number().int().min(1).nullable().optional(),
  /** Extension: what the model is told to do with a page, in the place of the usual. */
  prompt: z.string().min(1).max(10_000).nullable().optional(),
  /** Pictures inside pages are not taken out: `images` is always empty, and within any bound. */
  include_image_base64: off('is not served, as pictures inside pages are not taken out'),
  image_limit: z.number().int().nullable().optional(),
  image_min_size: z.number().int().nullable().optional(),
  extract_header: off(),
  extract_footer: off(),
  include_blocks: off(),
  confidence_scores_granularity: z.null('is not served; only null is accepted').optional(),
  id: z.string().nullable().optional(),
});
export type OcrRequest = z.infer<typeof OcrRequest>;

export interface OcrTable {
  id: string;
  content: string;
  format: 'markdown' | 'html';
}

/** A page as it was read. */
export interface OcrPage {
  /** From 0. */
  index: number;
  /** Empty if the page is blank, could not be read (`error`) or was withheld (`content_filter_results`). */
  markdown: string;
  images: never[];
  tables?: OcrTable[];
  dimensions: { dpi: number; height: number; width: number } | null;
  /** Extension: who read it. */
  source: 'model' | 'text_layer' | 'blank' | 'none';
  /** Extension: the answer reached the most tokens it may have. */
  truncated?: true;
  /** Extension: the model ran into a loop, which was cut. */
  repeated?: true;
  /** Extension: why this page alone has no text. */
  error?: { code: string | null; message: string };
  content_filter_results?: ContentFilterResults;
}

export interface OcrResponse {
  pages: OcrPage[];
  model: string;
  /** JSON text by the schema asked for. */
  document_annotation: string | null;
  /** Extension: why there is none. */
  document_annotation_error?: { code: string | null; message: string };
  content_filter_results?: ContentFilterResults;
  usage_info: { pages_processed: number; doc_size_bytes: number };
  /** Extension: what reading cost. */
  usage: Usage;
}
