import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * What we change in llama.cpp's server before it is built. It only makes things faster: answers are the same without.
 *
 * A prompt that goes on where its slot stands (`judge.ts`) is to be computed from there on. With sliding windows the server
 * first asks whether the window is still whole, and asks it too strictly: a sequence that is shorter than the window, of
 * which nothing was ever dropped, counts as incomplete, and all since the last checkpoint (the whole answer), or since the
 * picture before it, is computed again. A sequence whose first token is there has all of them: the cache drops the oldest
 * first (`llama_kv_cache::apply_ubatch` keeps that invariant).
 */
const CHANGES = [
  {
    file: 'tools/server/server-context.cpp',
    from: 'if (pos_min >= pos_min_thold) {',
    to: 'if (pos_min > 0 && pos_min >= pos_min_thold) {',
  },
];

/** Changes a source tree. A release that reads otherwise is left as it is: the tests of judging say whether it is slow. */
export async function patch(source: string): Promise<void> {
  for (const { file, from, to } of CHANGES) {
    const path = join(source, file);
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace(from, to));
  }
}
