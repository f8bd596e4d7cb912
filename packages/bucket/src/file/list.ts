import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { isSegment } from '../keys.ts';
import type { ObjectInfo } from '../port.ts';
import { codeOf } from './errors.ts';

/** Files asked for their size and age at a time: few at first (a page of 20 is common), then more. */
const FIRST_BATCH = 32;
const MAX_BATCH = 256;

/**
 * Objects below `root` whose key begins with `prefix` and is greater than `after`, in ascending byte order.
 *
 * Order: the names in a folder are sorted with a folder's name ending in its `/`, so `a-b` and `a.b` come before what is
 * in `a/`, and `a0` after it. Work: only folders that can hold a matching key are read, each when it is reached, and only
 * objects that match are asked for their size. Files and folders that vanish meanwhile are left out.
 */
export async function* listFolder(root: string, prefix: string, after: string): AsyncGenerator<ObjectInfo> {
  const slash = prefix.lastIndexOf('/') + 1;
  let size = FIRST_BATCH;
  let batch: string[] = [];
  for await (const key of keysBelow(root, prefix.slice(0, slash), prefix.slice(slash), after)) {
    batch.push(key);
    if (batch.length < size) continue;
    yield* await infos(root, batch);
    batch = [];
    size = Math.min(size * 2, MAX_BATCH);
  }
  yield* await infos(root, batch);
}

/** Keys below `folder` (`''`, or ending in `/`) whose next segment begins with `start`. */
async function* keysBelow(root: string, folder: string, start: string, after: string): AsyncGenerator<string> {
  const names = (await entries(`${root}/${folder}`))
    .filter((entry) => entry.name.startsWith(start) && isSegment(entry.name) && (entry.isDirectory() || entry.isFile()))
    .map((entry) => folder + entry.name + (entry.isDirectory() ? '/' : ''))
    .filter((name) => name > after || (name.endsWith('/') && after.startsWith(name)))
    .sort();
  for (const name of names) {
    if (name.endsWith('/')) yield* keysBelow(root, name, '', after);
    else yield name;
  }
}

async function entries(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}

async function infos(root: string, keys: string[]): Promise<ObjectInfo[]> {
  const found = await Promise.all(keys.map((key) => infoOf(root, key)));
  return found.filter((info) => info !== null);
}

/** Size and age of the object at `key`, or `null` if there is none. */
export async function infoOf(root: string, key: string): Promise<ObjectInfo | null> {
  try {
    const stats = await stat(`${root}/${key}`);
    return stats.isFile() ? { key, bytes: stats.size, modified: Math.trunc(stats.mtimeMs) } : null;
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw error;
  }
}
