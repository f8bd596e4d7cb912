import { createHash } from 'node:crypto';
import { mkdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { isCombined, readGguf } from '../gguf/index.ts';
import { EngineError } from '../port.ts';
import { sizeOf } from './download.ts';
import { withLock } from './lock.ts';
import { type ModelPair, type SplitOptions, splitModel } from './split.ts';

/** Raised when files are split in another way than before: those in caches are then made anew. */
const RULES = 1;

/** What a finished split left behind: of which file it is, and how large its parts must be. */
const recordSchema = z.object({
  rules: z.literal(RULES),
  size: z.number(),
  modified: z.number(),
  modelBytes: z.number(),
  mmprojBytes: z.number(),
});
type Record = z.infer<typeof recordSchema>;

/**
 * The parts of a model file that holds text model and projector in one, split into a folder below `cacheDir` the first
 * time, and again when the file has changed. Null for other model files. One process at a time splits a file; others wait.
 * @throws EngineError `model_unusable`, `aborted`.
 */
export async function splitIfCombined(
  path: string,
  cacheDir: string,
  options: SplitOptions = {},
): Promise<ModelPair | null> {
  if (!isCombined(readGguf(path))) return null;
  const signal = options.signal ?? new AbortController().signal;
  try {
    const source = await realpath(path);
    const folder = join(cacheDir, 'split', folderName(source));
    const pair = { model: join(folder, 'text.gguf'), mmproj: join(folder, 'mmproj.gguf') };
    if (await isCurrent(source, folder, pair)) return pair;
    await mkdir(folder, { recursive: true });
    await withLock(join(folder, 'lock'), signal, async () => {
      // Another process may have done it while this one waited.
      if (await isCurrent(source, folder, pair)) return;
      const { size, mtimeMs } = await stat(source);
      const record = join(folder, 'split.json');
      await rm(record, { force: true });
      await splitModel(source, pair, options);
      const [modelBytes, mmprojBytes] = [await sizeOf(pair.model), await sizeOf(pair.mmproj)];
      const done: Record = { rules: RULES, size, modified: mtimeMs, modelBytes, mmprojBytes };
      await writeFile(`${record}.new`, JSON.stringify(done));
      await rename(`${record}.new`, record);
    });
    return pair;
  } catch (error) {
    if (error instanceof EngineError) throw error;
    if (signal.aborted) throw new EngineError('aborted', `Splitting ${path} was stopped`, error);
    const reason = error instanceof Error ? error.message : String(error);
    throw new EngineError('model_unusable', `The parts of ${path} cannot be kept in ${cacheDir}: ${reason}`, error);
  }
}

async function isCurrent(source: string, folder: string, pair: ModelPair): Promise<boolean> {
  let record: Record;
  try {
    record = recordSchema.parse(JSON.parse(await readFile(join(folder, 'split.json'), 'utf8')));
  } catch {
    // Absent, of other rules, or cut off by a crash.
    return false;
  }
  const { size, mtimeMs } = await stat(source);
  const { modified, modelBytes, mmprojBytes } = record;
  if (record.size !== size || modified !== mtimeMs) return false;
  return (await sizeOf(pair.model)) === modelBytes && (await sizeOf(pair.mmproj)) === mmprojBytes;
}

function folderName(source: string): string {
  const readable = basename(source)
    .replace(/\.gguf$/i, '')
    .replace(/[^\w.-]+/g, '-');
  return `${readable.slice(-60)}-${createHash('sha256').update(source).digest('hex').slice(0, 12)}`;
}
