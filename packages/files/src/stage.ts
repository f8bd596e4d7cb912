import { type Bucket, BucketUnavailableError, layout } from '@batchmill/bucket';
import { FileObject, type FilePurpose, idTime, newId, RequestError } from '@batchmill/contract';

const DAY = 86_400;

/** How long content may wait for its meta.json before the sweep takes it for the rest of a crash. Seconds. */
export const STAGED_SECONDS = DAY;

/** Files of purpose `batch` live this long unless told otherwise. Seconds. */
export const BATCH_FILE_SECONDS = 30 * DAY;

export interface FileDetails {
  filename: string;
  purpose: FilePurpose;
  /** Unix seconds. Default: `secondsToLive`, else 30 days after creation for purpose `batch`, else never. */
  expiresAt?: number;
  /** The same, counted from the file's creation. */
  secondsToLive?: number;
  /** Longest lifetime that is allowed, whatever was asked for. Seconds; `null`: any. */
  mostSeconds?: number | null;
}

/** Content that is in the bucket, and that nobody can see before `publish`. */
export interface StagedFile {
  id: string;
  bytes: number;
  /** Unix seconds. */
  createdAt: number;
  publish(details: FileDetails): Promise<FileObject>;
  /** Removes the content again. */
  discard(): Promise<void>;
}

export interface StageOptions {
  /** Default: a new id. */
  id?: string;
  /** Content over this size is refused with status 413 as soon as the limit is passed. */
  maxBytes?: number;
  signal?: AbortSignal;
}

/**
 * Writes content to the bucket in flat memory, before it is known what the file is called or for. If the source throws,
 * the signal aborts or `maxBytes` is passed, nothing is left and the error is thrown on. If the bucket fails, the sweep
 * removes what may have got there.
 */
export function stageFile(
  bucket: Bucket,
  tenant: string,
  source: AsyncIterable<Uint8Array>,
  options: StageOptions = {},
): Promise<StagedFile> {
  const bounded = options.maxBytes === undefined ? source : atMost(source, options.maxBytes);
  return stageBy(bucket, tenant, options.id ?? newId('file-'), (key, marked) =>
    bucket.write(key, after(bounded, marked), options.signal === undefined ? {} : { signal: options.signal }),
  );
}

/** The source, which does not end before `marked` resolves; throws what that throws. */
async function* after(source: AsyncIterable<Uint8Array>, marked: Promise<void>): AsyncGenerator<Uint8Array> {
  yield* source;
  await marked;
}

/** `stageFile` for content that `write` puts at the key in its own way: there it may not be before `marked` resolves. */
export async function stageBy(
  bucket: Bucket,
  tenant: string,
  id: string,
  write: (key: string, marked: Promise<void>) => Promise<{ bytes: number }>,
): Promise<StagedFile> {
  const createdAt = createdSeconds(id);
  // There before the content: whatever happens from then on, the sweep will find content that was never published.
  const marker = layout.file.expires(Math.floor(Date.now() / 1000) + STAGED_SECONDS, tenant, id);
  const marked = bucket.put(marker, '');
  marked.catch(() => {});
  const discard = async () => {
    await bucket.delete(layout.file.content(tenant, id));
    await bucket.delete(marker);
  };
  let bytes: number;
  try {
    bytes = (await write(layout.file.content(tenant, id), marked)).bytes;
  } catch (error) {
    // A store that failed may have the content all the same: then the marker must lead the sweep to it.
    await marked.catch(() => {});
    if (!(error instanceof BucketUnavailableError)) await bucket.delete(marker).catch(() => {});
    throw error;
  }
  return {
    id,
    bytes,
    createdAt,
    publish: async (details) => {
      const file = await publishFile(bucket, tenant, { id, bytes, ...details });
      await bucket.delete(marker);
      return file;
    },
    discard,
  };
}

/**
 * Makes content that is there visible: its meta.json, from which moment the file exists, its expiry, and the entry that lists it.
 * They are written side by side. What a crash leaves undone of it, so that the file would be immortal or in no list, the sweep does, led
 * there by the marker of `stageBy`. May be repeated.
 */
export async function publishFile(
  bucket: Bucket,
  tenant: string,
  details: FileDetails & { id: string; bytes: number },
): Promise<FileObject> {
  const createdAt = createdSeconds(details.id);
  const seconds = lifetime(details.purpose, details.secondsToLive ?? null, details.mostSeconds ?? null);
  const expiresAt = details.expiresAt ?? (seconds === null ? undefined : createdAt + seconds);
  const file: FileObject = {
    id: details.id,
    object: 'file',
    bytes: details.bytes,
    created_at: createdAt,
    filename: details.filename,
    purpose: details.purpose,
    status: 'processed',
    ...(expiresAt === undefined ? {} : { expires_at: expiresAt }),
  };
  await Promise.all([
    expiresAt === undefined ? undefined : bucket.put(layout.file.expires(expiresAt, tenant, file.id), ''),
    bucket.put(layout.file.meta(tenant, file.id), JSON.stringify(file)),
    bucket.put(layout.file.index(tenant, file.id), ''),
  ]);
  return file;
}

/** How many seconds a file lives from its creation; `null`: until somebody deletes it. */
export function lifetime(purpose: FilePurpose, asked: number | null, most: number | null): number | null {
  const wanted = asked ?? (purpose === 'batch' ? BATCH_FILE_SECONDS : null);
  return wanted === null || most === null ? (wanted ?? most) : Math.min(wanted, most);
}

/** meta.json, expired or not. */
export async function readMeta(bucket: Bucket, tenant: string, id: string): Promise<FileObject | null> {
  const bytes = await bucket.get(layout.file.meta(tenant, id));
  return bytes === null ? null : FileObject.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
}

/** Passes the source on and throws status 413 once it is longer than `max` bytes. */
export async function* atMost(source: AsyncIterable<Uint8Array>, max: number): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.byteLength;
    if (bytes > max) throw tooLarge(max);
    yield chunk;
  }
}

/** What a file over the limit is answered with. */
export function tooLarge(max: number): RequestError {
  return new RequestError(413, `The data is larger than the ${max} bytes allowed.`, { code: 'content_too_large' });
}

function createdSeconds(id: string): number {
  const ms = idTime(id);
  if (ms === null) throw new Error(`not a file id: ${id}`);
  return Math.floor(ms / 1000);
}
