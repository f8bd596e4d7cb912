import { Readable } from 'node:stream';
import { RequestError } from '@batchmill/contract';
import { tooLarge } from '@batchmill/files';
import { Busboy, type BusboyFileStream, type BusboyInstance } from '@fastify/busboy';
import type { Context } from 'hono';
import type { Env } from '../deps.ts';

/** Room for the fields, part headers and boundaries around a file. */
const AROUND = 2 ** 20;

const LIMITS = { fieldSize: 8_192, headerPairs: 32, headerSize: 16_384 };
const MOST_FIELDS = 16;

export interface FormOptions<T> {
  /** Name of the one field that is a file; `null`: files may come in any field. */
  file: string | null;
  /** Most files, by default one. */
  most?: number;
  /** Largest size of the files together, in bytes. */
  maxBytes: number;
  /** Takes a file's bytes as they come; the request waits for it. Files come one after the other. */
  receive: (source: AsyncIterable<Uint8Array>, filename: string, type: string) => Promise<T>;
  /** Called for each other field as it comes, before a file that follows it is read. May throw to refuse the request. */
  field?: (name: string, value: string) => void;
  /** Undoes one `receive` when the request turns out to be wrong afterwards. */
  discard: (received: T) => Promise<void>;
}

export interface Form<T> {
  /** In the order in which they came. */
  files: { field: string; received: T; filename: string }[];
  fields: Map<string, string>;
}

/** What a form is read from. */
export interface FormSource {
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: Readable;
}

/** The form of a request: from its socket, or where there is none (Lambda) from the body that came with it. */
export function formOf(c: Context<Env>): FormSource {
  if (c.env?.incoming !== undefined) return { headers: c.env.incoming.headers, body: c.env.incoming };
  const { body } = c.req.raw;
  return { headers: c.req.header(), body: body === null ? Readable.from([]) : Readable.fromWeb(body) };
}

/**
 * Reads a multipart form (RFC 7578) as it comes, in flat memory: a file flows on to `receive` while it is read, in
 * whichever order the fields come. When this throws, `receive` has ended and nothing of it is left.
 *
 * @throws RequestError 400 for what is not such a form, 413 for files over `maxBytes`, 415 for another content type
 */
export async function readForm<T>(source: FormSource, options: FormOptions<T>): Promise<Form<T>> {
  const { body: incoming } = source;
  const declared = Number(source.headers['content-length'] ?? 0);
  if (declared > options.maxBytes + AROUND) throw tooLarge(options.maxBytes);
  const parser = openParser(source, options);
  const fields = new Map<string, string>();
  const parsed = Promise.withResolvers<void>();
  let stream: BusboyFileStream | undefined;
  const files: { field: string; receiving: Promise<T>; filename: string }[] = [];
  const most = options.most ?? 1;
  let bytes = 0;

  const fail = (error: unknown) => {
    incoming.unpipe(parser);
    parsed.reject(error);
    stream?.destroy(error instanceof Error ? error : new Error(String(error)));
  };
  const attempt = (step: () => void) => {
    try {
      step();
    } catch (error) {
      fail(error);
    }
  };

  parser.on('field', (name, value, _nameCut, valueCut) =>
    attempt(() => {
      if (name === undefined) throw malformed('a part has no name');
      if (valueCut) throw malformed(`the field '${name}' is too long`);
      if (fields.has(name)) throw malformed(`the field '${name}' is given twice`);
      options.field?.(name, value);
      fields.set(name, value);
    }),
  );
  parser.on('file', (name, part, filename, _encoding, type) => {
    stream = part;
    // Errors reach `receive` through its iterator; without a listener a late one would end the process.
    part.on('error', () => {});
    part.on('limit', () => fail(tooLarge(options.maxBytes)));
    if (name === undefined || (options.file !== null && name !== options.file)) return fail(unknownFile(name));
    const receiving = options.receive(part, filename ?? 'upload', type);
    receiving.catch(fail);
    files.push({ field: name, receiving, filename: filename ?? 'upload' });
  });
  for (const limit of ['partsLimit', 'filesLimit', 'fieldsLimit'] as const) {
    parser.on(limit, () =>
      fail(malformed(`${most === 1 ? 'one file' : `${most} files`} and ${MOST_FIELDS} fields at most are allowed`)),
    );
  }
  parser.on('error', () => fail(malformed('it ends early or is malformed')));
  parser.on('finish', () => parsed.resolve());
  // `close` follows every `error`, which needs a listener nevertheless.
  incoming.on('error', () => {});
  incoming.on('close', () => {
    if (!incoming.readableEnded) fail(malformed('the connection was closed'));
  });
  incoming.on('data', (chunk: Buffer) => {
    bytes += chunk.byteLength;
    if (bytes > options.maxBytes + AROUND) fail(tooLarge(options.maxBytes));
  });
  incoming.pipe(parser);

  try {
    await parsed.promise;
    const received = await Promise.all(files.map(({ receiving }) => receiving));
    return {
      fields,
      files: files.flatMap(({ field, filename }, i) => {
        const one = received[i];
        return one === undefined ? [] : [{ field, filename, received: one }];
      }),
    };
  } catch (error) {
    const received = await Promise.allSettled(files.map(({ receiving }) => receiving));
    for (const one of received) if (one.status === 'fulfilled') await options.discard(one.value);
    throw error;
  }
}

function openParser<T>(source: FormSource, options: FormOptions<T>): BusboyInstance {
  const type = String(source.headers['content-type'] ?? '');
  if (!/^multipart\/form-data\b/i.test(type)) {
    throw new RequestError(415, "The body must be a form: send 'Content-Type: multipart/form-data'.", {
      code: 'unsupported_media_type',
    });
  }
  try {
    return Busboy({
      headers: { ...source.headers, 'content-type': type },
      // A file sent without a name is one nevertheless; a named one in another field must not fill the memory.
      isPartAFile: (name, _type, filename) => name === options.file || filename !== undefined,
      limits: {
        ...LIMITS,
        fields: MOST_FIELDS,
        files: options.most ?? 1,
        parts: MOST_FIELDS + 3 + (options.most ?? 1),
        fileSize: options.maxBytes,
      },
    });
  } catch (error) {
    throw malformed('the boundary is missing from its Content-Type', error);
  }
}

function malformed(why: string, cause?: unknown): RequestError {
  return new RequestError(400, `The multipart form could not be read: ${why}.`, { code: 'invalid_form', cause });
}

function unknownFile(name: string | undefined): RequestError {
  return new RequestError(400, `Unknown parameter: '${name ?? ''}' is not expected to be a file.`, {
    code: 'unknown_parameter',
    ...(name === undefined ? {} : { param: name }),
  });
}
