import { addUsage, NO_USAGE, RequestError, Usage } from '@batchmill/contract';
import type { GenerateRequest } from '@batchmill/engine';
import type { Document, Tile } from '@batchmill/media';
import { z } from 'zod';
import { callUsage, pieceError } from '../piece.ts';
import type { TaskContext } from '../port.ts';
import { cleanMarkdown } from './clean-markdown.ts';
import { joinTiles } from './join-tiles.ts';

export const KeptError = z.strictObject({ status: z.number(), code: z.string().nullable(), message: z.string() });

/** What was read of one page; JSON, as it is kept. */
export const ReadPage = z.strictObject({
  index: z.number().int(),
  markdown: z.string(),
  dimensions: z.strictObject({ dpi: z.number(), height: z.number(), width: z.number() }).nullable(),
  source: z.enum(['model', 'text_layer', 'blank', 'none']),
  truncated: z.boolean(),
  repeated: z.boolean(),
  usage: Usage,
  error: KeptError.nullable(),
});
export type ReadPage = z.infer<typeof ReadPage>;

export interface ReadOptions {
  textLayer: 'auto' | 'ignore' | 'only';
  prompt: string;
  dpi: number;
  imageTokens: number;
  tileLines: number | null;
  maxTokens: number;
}

/** What reading a page asks of its surroundings. */
export type ReadContext = Pick<TaskContext, 'generate' | 'models' | 'image'>;

/** A page of which nothing is known yet. */
export const unread = (index: number): ReadPage => ({
  index,
  markdown: '',
  dimensions: null,
  source: 'none',
  truncated: false,
  repeated: false,
  usage: NO_USAGE,
  error: null,
});

/** Of pictures, which say nothing about it; Mistral's answer has a number there too. */
const NO_DPI = 0;

/**
 * Reads one page: from the PDF's own text if that is wanted and good, else by the model, tile by tile.
 * @returns the failure of this page alone as `error`. @throws what concerns more than the page, and what `signal` throws.
 */
export async function readPage(
  document: Document,
  index: number,
  options: ReadOptions,
  context: ReadContext,
  signal: AbortSignal,
): Promise<ReadPage> {
  const page = unread(index);
  try {
    if (options.textLayer !== 'ignore') {
      const layer = await document.textLayer(index, signal);
      if (options.textLayer === 'only') {
        if (layer === null)
          throw new RequestError(400, "The page has no text of its own, and 'text_layer' is 'only'.", {
            code: 'no_text_layer',
          });
        return { ...page, markdown: layer.text, source: 'text_layer' };
      }
      if (layer?.good === true) return { ...page, markdown: layer.text, source: 'text_layer' };
    }
    if (!context.image)
      throw new RequestError(400, `The model '${context.models[0] ?? 'default'}' takes no pictures.`, {
        code: 'unsupported_modality',
      });
    const { dpi, imageTokens, tileLines } = options;
    const prepared = await document.prepare(index, { dpi, maxTokens: imageTokens, tileLines }, signal);
    const dimensions = { dpi: prepared.dpi ?? NO_DPI, height: prepared.height, width: prepared.width };
    if (prepared.tiles.length === 0) return { ...page, dimensions, source: 'blank' };
    const read = await readTiles(prepared.tiles, options, context, signal);
    return { ...page, ...read, dimensions, source: 'model' };
  } catch (error) {
    signal.throwIfAborted();
    const own = pieceError(error);
    if (own === null) throw error;
    return { ...page, error: own };
  }
}

async function readTiles(
  tiles: readonly Tile[],
  options: ReadOptions,
  context: ReadContext,
  signal: AbortSignal,
): Promise<Pick<ReadPage, 'markdown' | 'truncated' | 'repeated' | 'usage'>> {
  // All are waited for, so that none goes on unseen when one fails.
  const settled = await Promise.allSettled(tiles.map((tile) => context.generate(tileRequest(tile, options), signal)));
  const generations = settled.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  });
  const cleaned = generations.map(({ text }) => cleanMarkdown(text));
  return {
    markdown: joinTiles(cleaned.map(({ markdown }, i) => ({ text: markdown, overlaps: tiles[i]?.overlaps ?? false }))),
    truncated: generations.some(({ finishReason }) => finishReason === 'length'),
    repeated: cleaned.some(({ repeated }) => repeated),
    usage: generations.reduce((sum, generation) => addUsage(sum, callUsage(generation)), NO_USAGE),
  };
}

function tileRequest(tile: Tile, { prompt, maxTokens }: ReadOptions): GenerateRequest {
  return {
    messages: [
      {
        role: 'user',
        content: [
          { type: 'image', data: tile.data },
          { type: 'text', text: prompt },
        ],
      },
    ],
    thinking: false,
    sampling: { temperature: 0, topP: 1, topK: 1 },
    maxTokens,
    stop: [],
    format: { type: 'text' },
  };
}
