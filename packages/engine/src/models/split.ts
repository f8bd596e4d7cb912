import { mkdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { ggufBytes, readGguf, writeGguf } from '../gguf/index.ts';
import { EngineError } from '../port.ts';
import { checkSpace } from './download.ts';
import { isCode, withLock } from './lock.ts';
import { type FilePlan, planSplit } from './split-plan.ts';

/** Paths of the two files that llama.cpp wants. */
export interface ModelPair {
  model: string;
  mmproj: string;
}

export interface SplitOptions {
  /** Both files at once. */
  onProgress?: (writtenBytes: number, totalBytes: number) => void;
  signal?: AbortSignal;
}

const PROGRESS_MS = 250;

/** Where `splitModel` puts the parts of a combined file: beside it unless another folder is given. */
export function splitPaths(path: string, folder = dirname(path)): ModelPair {
  const stem = basename(path).replace(/\.gguf$/i, '');
  return { model: resolve(folder, `${stem}-text.gguf`), mmproj: resolve(folder, `${stem}-mmproj.gguf`) };
}

/**
 * Separates a combined file (text model and projector in one GGUF) into the two that llama.cpp loads. No tensor loses a
 * bit, and memory stays flat. The files appear under their names only when both are whole; files of these names
 * are replaced. One process at a time writes a pair.
 * @throws EngineError `model_unusable` when it is not a combined file or cannot be written, with what to do; `aborted`.
 */
export async function splitModel(path: string, pair: ModelPair, options: SplitOptions = {}): Promise<void> {
  const signal = options.signal ?? new AbortController().signal;
  const folder = dirname(pair.model);
  try {
    const plan = planSplit(readGguf(path));
    await mkdir(folder, { recursive: true });
    await withLock(`${pair.model}.lock`, signal, () => writePair(plan, pair, signal, options.onProgress));
  } catch (error) {
    if (error instanceof EngineError) throw error;
    if (signal.aborted) throw new EngineError('aborted', `Splitting ${path} was stopped`, error);
    const reason = isCode(error, 'ENOSPC')
      ? 'the disk is full'
      : error instanceof Error
        ? error.message
        : String(error);
    throw new EngineError('model_unusable', `${path} cannot be split into ${folder}: ${reason}`, error);
  }
}

async function writePair(
  plan: { text: FilePlan; mmproj: FilePlan },
  pair: ModelPair,
  signal: AbortSignal,
  onProgress: SplitOptions['onProgress'],
): Promise<void> {
  const files = [
    { path: pair.mmproj, ...plan.mmproj },
    { path: pair.model, ...plan.text },
  ];
  const total = files.reduce((sum, { metadata, tensors }) => sum + ggufBytes(metadata, tensors), 0);
  await checkSpace(dirname(pair.model), total);
  const partial = (path: string) => join(dirname(path), `.${basename(path)}.partial`);
  let written = 0;
  let reported = 0;
  const onWritten = (bytes: number) => {
    written += bytes;
    if (written < total && Date.now() - reported < PROGRESS_MS) return;
    reported = Date.now();
    onProgress?.(written, total);
  };
  try {
    for (const { path, metadata, tensors } of files)
      await writeGguf(partial(path), metadata, tensors, { signal, onWritten });
    // The text model last: where it is, its projector is too.
    for (const { path } of files) await rename(partial(path), path);
  } finally {
    for (const { path } of files) await rm(partial(path), { force: true });
  }
}
