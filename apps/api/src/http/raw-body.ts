import { RequestError } from '@batchmill/contract';
import type { FormSource } from './multipart.ts';

/** How long a body may take to come: who sends byte by byte must not hold a connection for ever. */
const COMES_IN_MS = 30_000;

/**
 * The bytes of a body, as they come. Over `maxBytes` it is refused by its declared length, or as soon as the limit is passed:
 * more is never held.
 *
 * @throws RequestError 413, 408 if it does not come, 400 if the connection breaks off
 */
export async function readRawBody({ headers, body }: FormSource, maxBytes: number): Promise<Uint8Array> {
  const tooLarge = () =>
    new RequestError(413, `An event may have ${maxBytes} bytes at most.`, { code: 'content_too_large' });
  if (Number(headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  const read = Promise.withResolvers<Uint8Array>();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const take = (chunk: Uint8Array) => {
    chunks.push(chunk);
    bytes += chunk.byteLength;
    if (bytes > maxBytes) read.reject(tooLarge());
  };
  let ended = false;
  const end = () => {
    ended = true;
    read.resolve(Buffer.concat(chunks));
  };
  // A body that is whole is closed too, and an error costs as much as all the rest here.
  const broken = () => {
    if (!ended) read.reject(new RequestError(400, 'The body of the request broke off.', { code: 'malformed_request' }));
  };
  const timer = setTimeout(() => {
    read.reject(new RequestError(408, 'The body of the request took too long to come.', { code: 'malformed_request' }));
  }, COMES_IN_MS);
  body.on('data', take).once('end', end).once('error', broken).once('close', broken);
  try {
    return await read.promise;
  } finally {
    clearTimeout(timer);
    body.off('data', take).off('end', end).off('close', broken);
  }
}
