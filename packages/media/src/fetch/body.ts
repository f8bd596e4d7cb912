import { pipeline, type Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';

/** More bytes than allowed, counted after decompression. */
export class TooManyBytesError extends Error {
  override readonly name = 'TooManyBytesError';
}

/** A `content-encoding` nobody asked for and we cannot undo. */
export class UnknownEncodingError extends Error {
  override readonly name = 'UnknownEncodingError';
}

const DECODERS: Record<string, () => NodeJS.ReadWriteStream & Readable> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
};

/**
 * A body piece by piece, its content encoding undone. Stops after `maxBytes`, so that a compressed bomb ends while it
 * unfolds. The body is destroyed in any case.
 * @throws TooManyBytesError, UnknownEncodingError.
 */
export async function* decodedBody(body: Readable, encoding: string, maxBytes: number): AsyncGenerator<Uint8Array> {
  let source = body;
  const name = encoding.trim().toLowerCase();
  if (name !== '' && name !== 'identity') {
    const decoder = DECODERS[name]?.();
    if (decoder === undefined) {
      body.destroy();
      throw new UnknownEncodingError(name);
    }
    // Errors of either stream surface in the iteration below.
    pipeline(body, decoder, () => {});
    source = decoder;
  }
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    // Leaving the loop destroys the source.
    if (bytes > maxBytes) throw new TooManyBytesError();
    yield chunk;
  }
}
