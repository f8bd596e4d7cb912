import { createWriteStream } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isId, RequestError } from '@batchmill/contract';
import { isDataUrl, parseDataUrl, saveUrl } from '@batchmill/media';
import type { Source } from '../port.ts';
import { checkSize, openUploaded, type SourceContext, type SourceOptions } from './read-source.ts';

/**
 * Writes what a request names, a `data:` or `https:` URL, `s3://bucket/key` or the id of an uploaded file, to a file on
 * disk, in memory for no more than a piece of it (a data URL is in memory already). The file is gone if that fails.
 * @returns its size in bytes.
 * @throws RequestError that says what is wrong with the source, as `readSource`. If the item's signal aborts, its reason.
 */
export async function saveSource(
  source: string,
  file: string,
  context: SourceContext,
  options: SourceOptions,
): Promise<number> {
  const { maxBytes } = options;
  if (isDataUrl(source)) {
    const { bytes } = parseDataUrl(source, maxBytes);
    await writeFile(file, bytes);
    return bytes.length;
  }
  if (isId('file-', source)) return saveOpened(await openUploaded(source, context), source, file, context, maxBytes);
  if (source.startsWith('s3://')) return saveOpened(await context.openObject(source), source, file, context, maxBytes);
  if (/^https?:/i.test(source))
    return (await saveUrl(source, file, { ...options.fetch, maxBytes, signal: context.signal })).bytes;
  throw new RequestError(400, "It must be a data:, https:// or s3:// URL or the id of an uploaded file ('file-…').", {
    code: 'invalid_value',
  });
}

async function saveOpened(
  source: Source,
  name: string,
  file: string,
  context: SourceContext,
  maxBytes: number,
): Promise<number> {
  checkSize(source, name, maxBytes);
  let bytes = 0;
  async function* bounded(from: AsyncIterable<Uint8Array>) {
    for await (const piece of from) {
      bytes += piece.length;
      // An object may have been replaced by a larger one since its size was asked for.
      checkSize({ ...source, bytes }, name, maxBytes);
      yield piece;
    }
  }
  try {
    await pipeline(Readable.from(bounded(await source.read())), createWriteStream(file), { signal: context.signal });
    return bytes;
  } catch (error) {
    await rm(file, { force: true });
    context.signal.throwIfAborted();
    throw error;
  }
}
