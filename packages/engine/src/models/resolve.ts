import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { EngineError } from '../port.ts';
import {
  type Downloaded,
  type DownloadOptions,
  type DownloadProgress,
  download,
  sha256Of,
  sizeOf,
} from './download.ts';
import { huggingFaceFiles, parseHuggingFace } from './hugging-face.ts';
import { withLock } from './lock.ts';
import { checkUrl, httpFile, objectFile, type ReadObject, type RemoteFile } from './remote.ts';

export interface ResolveOptions {
  /** Downloads go here, each model into a folder of its own. Made when missing. */
  cacheDir: string;
  /** Expected SHA-256 of the (first) file, hexadecimal. `#sha256=…` at the end of the source does the same. */
  sha256?: string;
  onProgress?: (progress: DownloadProgress) => void;
  signal?: AbortSignal;
  /** Needed for `s3://`. */
  readObject?: ReadObject;
  /** For gated and private Hugging Face models; `HF_TOKEN` of the environment unless given. */
  huggingFaceToken?: string;
  /** A mirror; `HF_ENDPOINT` of the environment, else huggingface.co. */
  huggingFaceEndpoint?: string;
  retryMs?: number;
  stallMs?: number;
  /** Files of so many bytes come over several connections at once. 256 MB unless given. */
  parallelBytes?: number;
}

/** What a finished download left behind: proves without the network that the model is here and whole. */
const recordSchema = z.object({
  files: z.array(z.object({ name: z.string(), size: z.number(), sha256: z.string() })).min(1),
});
type Record = z.infer<typeof recordSchema>;

/**
 * The path of a model file, downloaded first if need be.
 *
 * Sources: a path or `file:` address; `hf:owner/repo`, `hf:owner/repo:Q4_0`, `hf:owner/repo:mmproj`,
 * `hf:owner/repo/file.gguf`; `https:` (and `http:` of this machine); `s3://bucket/key` with `readObject`.
 * A downloaded model is used from then on without asking the network again: delete its folder to fetch it anew.
 * @throws EngineError `model_unusable` with what is wrong and what to do, `aborted`.
 */
export async function resolveModel(source: string, options: ResolveOptions): Promise<string> {
  const { address, sha256 } = splitChecksum(source, options.sha256);
  const signal = options.signal ?? new AbortController().signal;
  if (!/^(?:hf|https?|s3):/i.test(address)) return localFile(address, sha256, signal);

  const directory = join(resolve(options.cacheDir), folderName(address));
  const cached = await readRecord(directory, sha256);
  if (cached !== null) return cached;
  try {
    await mkdir(directory, { recursive: true });
    return await withLock(join(directory, 'lock'), signal, async () => {
      // Another process may have done it while this one waited.
      const done = await readRecord(directory, sha256);
      return done ?? (await fetchModel(address, sha256, directory, options, signal));
    });
  } catch (error) {
    if (error instanceof EngineError) throw error;
    if (signal.aborted) throw new EngineError('aborted', 'The download was stopped', error);
    throw new EngineError('model_unusable', `${address} cannot be kept in ${directory}: ${reason(error)}`, error);
  }
}

async function fetchModel(
  address: string,
  sha256: string | null,
  directory: string,
  options: ResolveOptions,
  signal: AbortSignal,
): Promise<string> {
  const remotes = await remoteFiles(address, options, signal);
  const [first] = remotes;
  if (first !== undefined && sha256 !== null) first.sha256 = sha256;
  const how: DownloadOptions = {
    signal,
    onProgress: options.onProgress,
    retryMs: options.retryMs,
    stallMs: options.stallMs,
    parallelBytes: options.parallelBytes,
  };
  const files: Downloaded[] = [];
  for (const remote of remotes) files.push(await download(remote, directory, how));
  const path = join(directory, 'model.json');
  await writeFile(`${path}.new`, JSON.stringify({ files } satisfies Record));
  await rename(`${path}.new`, path);
  return join(directory, files[0]?.name ?? '');
}

async function remoteFiles(address: string, options: ResolveOptions, signal: AbortSignal): Promise<RemoteFile[]> {
  if (/^hf:/i.test(address)) {
    const endpoint = options.huggingFaceEndpoint ?? process.env.HF_ENDPOINT ?? 'https://huggingface.co';
    const token = options.huggingFaceToken ?? process.env.HF_TOKEN ?? null;
    try {
      return await huggingFaceFiles(parseHuggingFace(address), endpoint, token, signal);
    } catch (error) {
      if (error instanceof EngineError || signal.aborted) throw error;
      throw new EngineError('model_unusable', `${endpoint} cannot be asked for ${address}: ${reason(error)}`, error);
    }
  }
  if (/^s3:/i.test(address)) {
    if (options.readObject === undefined) {
      throw new EngineError('model_unusable', `${address} cannot be read: no object store is configured`);
    }
    return [objectFile(address, options.readObject)];
  }
  if (!URL.canParse(address)) throw new EngineError('model_unusable', `${address} is no address`);
  const url = new URL(address);
  checkUrl(url);
  return [httpFile(url, null)];
}

async function localFile(address: string, sha256: string | null, signal: AbortSignal): Promise<string> {
  const path = address.startsWith('file:') ? fileURLToPath(address) : resolve(address);
  const found = await stat(path).catch(() => null);
  if (found === null || !found.isFile()) {
    throw new EngineError(
      'model_unusable',
      `There is no model file ${path}. Give a path, hf:owner/repo:Q4_0, an https:// address or s3://bucket/key`,
    );
  }
  if (sha256 !== null) {
    const actual = await sha256Of(path, signal);
    if (actual !== sha256) throw new EngineError('model_unusable', `${path} has the SHA-256 ${actual}, not ${sha256}`);
  }
  return path;
}

function splitChecksum(source: string, given: string | undefined): { address: string; sha256: string | null } {
  const [, address, suffix] = /^(.*?)(?:#sha256=(.*))?$/su.exec(source) ?? [];
  const sha256 = (suffix ?? given)?.toLowerCase() ?? null;
  if (sha256 !== null && !/^[0-9a-f]{64}$/.test(sha256)) {
    throw new EngineError('model_unusable', `"${sha256}" is not a SHA-256: it has 64 hexadecimal digits`);
  }
  return { address: address ?? source, sha256 };
}

/** Told apart by the whole address but its query, which may be a signature that changes; readable by its end. */
function folderName(address: string): string {
  const plain = address.replace(/\?.*$/s, '');
  const readable = plain.replace(/^.*?:\/*/, '').replace(/[^\w.-]+/g, '-');
  return `${readable.slice(-60)}-${createHash('sha256').update(plain).digest('hex').slice(0, 12)}`;
}

/** The model's path when it is here whole, as the checksum asks. */
async function readRecord(directory: string, sha256: string | null): Promise<string | null> {
  let record: Record;
  try {
    record = recordSchema.parse(JSON.parse(await readFile(join(directory, 'model.json'), 'utf8')));
  } catch {
    return null;
  }
  const first = record.files[0];
  if (first === undefined || (sha256 !== null && first.sha256 !== sha256)) return null;
  for (const file of record.files) {
    if ((await sizeOf(join(directory, file.name))) !== file.size) return null;
  }
  return join(directory, first.name);
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
