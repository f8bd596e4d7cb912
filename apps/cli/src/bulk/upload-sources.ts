import { stat } from 'node:fs/promises';
import OpenAI from 'openai';
import type { Progress } from '../progress.ts';
import type { Source } from './sources.ts';
import type { StateFile } from './state.ts';
import { inParallel, uploadFile } from './upload.ts';

const UPLOADS_AT_A_TIME = 8;
/** A copy that expires sooner than this is not relied on: a batch takes up to a week. */
const MARGIN_SECONDS = 8 * 86_400;

export interface UploadSourcesOptions {
  /** Seconds the copies stay. */
  seconds: number;
  signal: AbortSignal;
  progress: Progress;
  /** As in the state: for what to note beside a source that cannot be read. */
  options: string;
}

/**
 * Makes sure that the service can get at each source: those on this machine are uploaded, unless an earlier run has done so.
 * One that cannot be read, or changes meanwhile, is noted as failed and left out of what is returned.
 */
export async function uploadSources(
  client: OpenAI,
  file: StateFile,
  sources: readonly Source[],
  options: UploadSourcesOptions,
): Promise<Map<string, { fileId: string } | { url: string }>> {
  const { progress, signal } = options;
  const known = file.state.sources;
  const places = new Map<string, { fileId: string } | { url: string }>();
  const now = Date.now() / 1000;
  const local: { source: Source; path: string }[] = [];
  for (const source of sources) {
    if ('url' in source.at) places.set(source.path, { url: source.at.url });
    else local.push({ source, path: source.at.file });
  }
  const usable = local.filter(({ source }) => {
    const upload = known[source.path]?.upload;
    return upload?.version === source.version && upload.expiresAt > now + MARGIN_SECONDS;
  });
  const there = usable.length === 0 ? new Set<string>() : await uploadedIds(client, signal);
  let done = 0;
  await inParallel(local, UPLOADS_AT_A_TIME, async ({ source, path }) => {
    signal.throwIfAborted();
    const entry = known[source.path];
    if (entry === undefined) return;
    const fresh = entry.upload?.version === source.version && entry.upload.expiresAt > now + MARGIN_SECONDS;
    try {
      if (!fresh || entry.upload === undefined || !there.has(entry.upload.fileId)) {
        const fileId = await uploadFile(client, path, { seconds: options.seconds, signal });
        entry.upload = { fileId, version: source.version, expiresAt: Math.floor(Date.now() / 1000) + options.seconds };
      }
      places.set(source.path, { fileId: entry.upload.fileId });
    } catch (error) {
      signal.throwIfAborted();
      const message = await whyUnreadable(source, path, error);
      if (message === null) throw error;
      const outputs = entry.result?.outputs ?? [];
      const problems = [{ code: 'unreadable_file', message }];
      entry.result = { version: source.version, options: options.options, failed: true, outputs, problems };
    }
    progress.update('uploading', ++done, local.length);
    await file.saveSoon();
  });
  await file.save();
  return places;
}

/** What is wrong with the file, in words, or `null` if it is not the file's fault that it was not uploaded. */
async function whyUnreadable(source: Source, path: string, error: unknown): Promise<string | null> {
  const info = await stat(path).catch((reason: Error) => reason);
  if (info instanceof Error) return `It cannot be read: ${info.message}`;
  if (`${info.size} ${info.mtimeMs}` !== source.version) return 'It changed while it was read. Run again to send it.';
  if (error instanceof OpenAI.APIError)
    return error.status === 413 || error.status === 400 ? `The service does not take it: ${error.message}` : null;
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? `It cannot be read: ${error.message}`
    : null;
}

/** Ids of all files this account has at the service for its items. */
async function uploadedIds(client: OpenAI, signal: AbortSignal): Promise<Set<string>> {
  const ids = new Set<string>();
  for await (const { id } of client.files.list({ purpose: 'user_data', limit: 10_000 }, { signal })) ids.add(id);
  return ids;
}
