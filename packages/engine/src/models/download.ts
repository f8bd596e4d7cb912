import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { readGguf } from '../gguf/index.ts';
import { EngineError } from '../port.ts';
import { isCode } from './lock.ts';
import { type RemoteContent, type RemoteFile, TryAgain } from './remote.ts';
import { fetchSegments, left, NoRanges, planSegments, Segment } from './segments.ts';

export interface DownloadProgress {
  /** The file's name: a model may come in several. */
  file: string;
  receivedBytes: number;
  /** Null when the server does not say. */
  totalBytes: number | null;
}

export interface DownloadOptions {
  signal: AbortSignal;
  onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** First pause before another attempt; doubles up to 30 s. 500 unless given. */
  retryMs?: number | undefined;
  /** An attempt that gets no byte for so long is given up. 60,000 unless given. */
  stallMs?: number | undefined;
  /** Files with so many bytes to come are fetched over several connections. 256 MB unless given. */
  parallelBytes?: number | undefined;
}

export interface Downloaded {
  name: string;
  size: number;
  sha256: string;
}

/** Attempts in a row that bring nothing before giving up. */
const MOST_ATTEMPTS = 6;
const LONGEST_PAUSE_MS = 30_000;
const PROGRESS_MS = 250;
const KEEP_MS = 2_000;
/** One connection rarely fills a line: stores and hubs bound each. */
const CONNECTIONS = 8;
const PARALLEL_BYTES = 256 << 20;
/** Kept free beside the model. */
const SPARE_BYTES = 64 << 20;

/** What is known of a half-finished download; stands beside it. */
const partSchema = z.object({
  validator: z.string().nullable(),
  size: z.number().nullable(),
  /** What is missing, of a file that comes over several connections. Without it, everything after what is there. */
  segments: z.array(Segment).optional(),
});
type Part = z.infer<typeof partSchema>;

/**
 * Copies a file into `directory`, going on where an earlier attempt (of this process or another) stopped. The file appears
 * under its name only whole and checked: size, SHA-256 where known, and a sound GGUF header.
 * @throws EngineError `model_unusable` with what is wrong, `aborted`.
 */
export async function download(remote: RemoteFile, directory: string, options: DownloadOptions): Promise<Downloaded> {
  const target = join(directory, remote.name);
  const part = `${target}.part`;
  let idle = 0;
  let mismatched = false;
  let parallel = true;
  for (;;) {
    const before = await receivedOf(part);
    try {
      await fetchPart(remote, part, parallel, options);
      const sha256 = await sha256Of(part, options.signal);
      if (remote.sha256 === null || sha256 === remote.sha256) return await finish(remote, part, target, sha256);
      await discard(part);
      const message = `${remote.label} has the SHA-256 ${sha256}, not ${remote.sha256}`;
      if (before === 0 || mismatched) {
        throw new EngineError('model_unusable', `${message}: it is not the file that was meant`);
      }
      // What was put together from several attempts may not fit together: once more, from the start.
      mismatched = true;
      throw new TryAgain(message);
    } catch (error) {
      if (options.signal.aborted) throw new EngineError('aborted', 'The download was stopped', error);
      if (error instanceof EngineError) throw error;
      if (isCode(error, 'ENOSPC')) throw new EngineError('model_unusable', `The disk of ${directory} is full`, error);
      if (error instanceof NoRanges) parallel = false;
      const again = error instanceof TryAgain ? error : new TryAgain(describe(error));
      idle = (await receivedOf(part)) > before ? 0 : idle + 1;
      if (again.fromStart) await discard(part);
      if (idle >= MOST_ATTEMPTS) {
        throw new EngineError('model_unusable', `${remote.label} cannot be downloaded: ${again.message}`, error);
      }
      const pause = Math.min(again.afterMs ?? (options.retryMs ?? 500) * 2 ** idle, LONGEST_PAUSE_MS);
      await sleep(pause, undefined, { signal: options.signal }).catch(() => {
        throw new EngineError('aborted', 'The download was stopped');
      });
    }
  }
}

/** One attempt at the rest of the file. */
async function fetchPart(remote: RemoteFile, part: string, parallel: boolean, options: DownloadOptions): Promise<void> {
  const known = await readPart(part);
  if (known.segments !== undefined) return fetchRest(remote, part, known, known.segments, options);
  let have = await sizeOf(part);
  if (known.size !== null && have === known.size) return;
  // Without a validator a changed file would go unnoticed, unless its checksum is known.
  if (known.validator === null && remote.sha256 === null) have = 0;

  const stalled = new AbortController();
  const signal = AbortSignal.any([options.signal, stalled.signal]);
  const stall = setTimeout(() => stalled.abort(new TryAgain('no data came')), options.stallMs ?? 60_000);
  try {
    const content = await remote.open(have, known.validator, signal);
    if (content.start !== have && content.start !== 0) throw new TryAgain('the server sent another part of the file');
    const size = content.size ?? remote.size;
    checkSize(remote, size);
    if (size !== null) await checkSpace(dirname(part), size - content.start);
    const many = size !== null && size - content.start >= (options.parallelBytes ?? PARALLEL_BYTES);
    if (parallel && many && content.validator !== null) {
      clearTimeout(stall);
      // This connection has shown what there is; eight will fetch it.
      stalled.abort();
      if (content.start === 0) await writeFile(part, '');
      const segments = planSegments(content.start, size, CONNECTIONS);
      return await fetchRest(remote, part, { validator: content.validator, size }, segments, options);
    }
    const file = await open(part, content.start === 0 ? 'w' : 'a');
    try {
      await writePart(part, { validator: content.validator, size });
      await copy(content, size, file, remote, options, stall);
    } finally {
      await file.close();
    }
    if (size !== null && (await sizeOf(part)) < size) throw new TryAgain('the connection ended early');
  } catch (error) {
    throw stalled.signal.aborted ? stalled.signal.reason : error;
  } finally {
    clearTimeout(stall);
  }
}

/** What is missing of a file, over a connection for each stretch. Where they are is kept now and then, so also SIGKILL costs little. */
async function fetchRest(
  remote: RemoteFile,
  part: string,
  known: Part,
  segments: Segment[],
  options: DownloadOptions,
): Promise<void> {
  const { validator, size } = known;
  let keeping = Promise.resolve();
  const keep = () => (keeping = keeping.then(() => writePart(part, { validator, size, segments })));
  const stalled = new AbortController();
  const stall = setTimeout(() => stalled.abort(new TryAgain('no data came')), options.stallMs ?? 60_000);
  let reported = 0;
  let kept = Date.now();
  const report = () =>
    options.onProgress?.({ file: remote.name, receivedBytes: (size ?? 0) - left(segments), totalBytes: size });
  const file = await open(part, 'r+');
  try {
    await keep();
    await fetchSegments(remote, file, segments, validator, {
      signal: AbortSignal.any([options.signal, stalled.signal]),
      onBytes: () => {
        stall.refresh();
        if (Date.now() - reported < PROGRESS_MS) return;
        reported = Date.now();
        report();
        if (Date.now() - kept < KEEP_MS) return;
        kept = Date.now();
        // A disk that is full is told by the last one.
        keep().catch(() => {});
      },
    });
    report();
  } catch (error) {
    throw stalled.signal.aborted ? stalled.signal.reason : error;
  } finally {
    clearTimeout(stall);
    await file.close();
    // Also after one that failed.
    keeping = keeping.catch(() => {});
    await keep();
  }
}

async function copy(
  content: RemoteContent,
  size: number | null,
  file: FileHandle,
  remote: RemoteFile,
  options: DownloadOptions,
  stall: NodeJS.Timeout,
): Promise<void> {
  let received = content.start;
  let reported = 0;
  const report = () => options.onProgress?.({ file: remote.name, receivedBytes: received, totalBytes: size });
  for await (const chunk of content.body) {
    stall.refresh();
    if (size !== null && received + chunk.length > size) throw new TryAgain('the server sent more than it announced');
    await file.writeFile(chunk);
    received += chunk.length;
    if (Date.now() - reported >= PROGRESS_MS) {
      reported = Date.now();
      report();
    }
  }
  report();
}

/** Puts the whole file under its name, if it is a model. */
async function finish(remote: RemoteFile, part: string, target: string, sha256: string): Promise<Downloaded> {
  try {
    readGguf(part);
  } catch (error) {
    await discard(part);
    throw new EngineError('model_unusable', `${remote.label} is no model: ${describe(error)}`, error);
  }
  const size = await sizeOf(part);
  const file = await open(part, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(part, target);
  await rm(`${part}.json`, { force: true });
  return { name: remote.name, size, sha256 };
}

function checkSize(remote: RemoteFile, size: number | null): void {
  if (remote.size !== null && size !== null && size !== remote.size) {
    throw new EngineError('model_unusable', `${remote.label} has ${size} bytes, not ${remote.size}`);
  }
}

/** @throws EngineError `model_unusable` when the disk of this folder has no room for so many bytes more. */
export async function checkSpace(directory: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const needed = bytes + SPARE_BYTES;
  if (bavail * bsize >= needed) return;
  const gigabytes = (amount: number) => `${(amount / 1e9).toFixed(1)} GB`;
  throw new EngineError(
    'model_unusable',
    `${directory} has ${gigabytes(bavail * bsize)} free, and the model needs ${gigabytes(needed)} more: make room or set another cache folder`,
  );
}

export async function sha256Of(path: string, signal: AbortSignal): Promise<string> {
  const hash: Hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, signal })) hash.update(chunk);
  return hash.digest('hex');
}

/** Whole or not at all: half of it would say that nothing is known. */
async function writePart(part: string, known: Part): Promise<void> {
  await writeFile(`${part}.json.new`, JSON.stringify(known));
  await rename(`${part}.json.new`, `${part}.json`);
}

async function readPart(part: string): Promise<Part> {
  try {
    return partSchema.parse(JSON.parse(await readFile(`${part}.json`, 'utf8')));
  } catch {
    // Absent, or cut off by a crash: the part is of no known origin.
    return { validator: null, size: null };
  }
}

/** Bytes of the file that are here. */
async function receivedOf(part: string): Promise<number> {
  const { size, segments } = await readPart(part);
  return segments === undefined ? await sizeOf(part) : (size ?? 0) - left(segments);
}

async function discard(part: string): Promise<void> {
  await rm(part, { force: true });
  await rm(`${part}.json`, { force: true });
}

/** 0 when there is no such file. */
export async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return 0;
    throw error;
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // fetch hides what went wrong in the cause.
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
