import { isId, RequestError } from '@batchmill/contract';
import { type FetchOptions, fetchUrl, isDataUrl, parseBase64, parseDataUrl } from '@batchmill/media';
import type { Source, TaskContext } from '../port.ts';

export interface SourceOptions {
  /** Largest file taken, in bytes. */
  maxBytes: number;
  fetch: Omit<FetchOptions, 'maxBytes' | 'signal'>;
}

/** What reading a source asks of its surroundings. */
export type SourceContext = Pick<TaskContext, 'openFile' | 'openObject' | 'signal'>;

/**
 * The bytes a message part names: a `data:` or `https:` URL, `s3://bucket/key`, a file id, or, where a part holds its
 * data itself (`orBase64`), plain base64.
 * @throws RequestError that says what is wrong with the source.
 */
export async function readSource(
  source: string,
  context: SourceContext,
  options: SourceOptions,
  orBase64 = false,
): Promise<Uint8Array> {
  const { maxBytes } = options;
  if (isDataUrl(source)) return parseDataUrl(source, maxBytes).bytes;
  if (isId('file-', source)) return readUploaded(source, context, maxBytes);
  if (source.startsWith('s3://')) return readWhole(await context.openObject(source), source, maxBytes);
  if (/^https?:/i.test(source))
    return (await fetchUrl(source, { ...options.fetch, maxBytes, signal: context.signal })).bytes;
  if (orBase64 && !source.includes(':')) return parseBase64(source, maxBytes);
  throw new RequestError(400, "It must be a data:, https:// or s3:// URL or the id of an uploaded file ('file-…').", {
    code: 'invalid_value',
  });
}

/** An uploaded file of the item's tenant. @throws RequestError 400 `file_not_found` or `file_too_large`. */
export async function readUploaded(id: string, context: SourceContext, maxBytes: number): Promise<Uint8Array> {
  return readWhole(await openUploaded(id, context), id, maxBytes);
}

/** @throws RequestError 400 `file_not_found`. */
export async function openUploaded(id: string, context: SourceContext): Promise<Source> {
  const file = isId('file-', id) ? await context.openFile(id) : null;
  if (file === null)
    throw new RequestError(400, `There is no file '${id}', or it has expired.`, { code: 'file_not_found' });
  return file;
}

/** @throws RequestError 400 `file_too_large`, before anything is read. */
export function checkSize(source: Source, name: string, maxBytes: number): void {
  if (source.bytes > maxBytes)
    throw new RequestError(400, `'${name}' has ${source.bytes} bytes; at most ${maxBytes} are read for one item.`, {
      code: 'file_too_large',
    });
}

async function readWhole(source: Source, name: string, maxBytes: number): Promise<Uint8Array> {
  checkSize(source, name, maxBytes);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of await source.read()) {
    bytes += chunk.byteLength;
    // A store may say less than it sends.
    checkSize({ ...source, bytes }, name, maxBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
