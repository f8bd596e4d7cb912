import { isId, RequestError } from '@batchmill/contract';
import { type FetchOptions, fetchUrl, isDataUrl, parseBase64, parseDataUrl } from '@batchmill/media';
import type { TaskContext } from '../port.ts';

export interface SourceOptions {
  /** Largest file taken, in bytes. */
  maxBytes: number;
  fetch: Omit<FetchOptions, 'maxBytes' | 'signal'>;
}

/** What media preparation asks of its surroundings. */
export type MediaContext = Pick<TaskContext, 'models' | 'image' | 'audio' | 'readFile' | 'readObject' | 'signal'>;

/**
 * The bytes a message part names: a `data:` or `https:` URL, `s3://bucket/key`, a file id, or, where a part holds its
 * data itself (`orBase64`), plain base64.
 * @throws RequestError that says what is wrong with the source.
 */
export async function readSource(
  source: string,
  context: MediaContext,
  options: SourceOptions,
  orBase64 = false,
): Promise<Uint8Array> {
  const { maxBytes } = options;
  if (isDataUrl(source)) return parseDataUrl(source, maxBytes).bytes;
  if (isId('file-', source)) return readUploaded(source, context, maxBytes);
  if (source.startsWith('s3://')) return context.readObject(source, maxBytes);
  if (/^https?:/i.test(source))
    return (await fetchUrl(source, { ...options.fetch, maxBytes, signal: context.signal })).bytes;
  if (orBase64 && !source.includes(':')) return parseBase64(source, maxBytes);
  throw new RequestError(400, "It must be a data:, https:// or s3:// URL or the id of an uploaded file ('file-…').", {
    code: 'invalid_value',
  });
}

/** An uploaded file of the item's tenant. @throws RequestError 400 `file_not_found`. */
export async function readUploaded(id: string, context: MediaContext, maxBytes: number): Promise<Uint8Array> {
  const bytes = isId('file-', id) ? await context.readFile(id, maxBytes) : null;
  if (bytes === null)
    throw new RequestError(400, `There is no file '${id}', or it has expired.`, { code: 'file_not_found' });
  return bytes;
}
