import { randomUUID } from 'node:crypto';
import { link, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const BEAT_MS = 2_000;
/** A lock without a beat for so long belongs to a process that is dead. Longer than a machine's short sleeps. */
const STALE_MS = 20_000;
const POLL_MS = 200;

/**
 * Runs `work` while holding a lock file, so that one process at a time does, also on a shared disk.
 * @throws the signal's reason when it fires while waiting.
 */
export async function withLock<T>(path: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const mine = randomUUID();
  while (!(await acquire(path, mine))) {
    await removeStale(path);
    await sleep(POLL_MS, undefined, { signal });
  }
  const beat = setInterval(() => {
    const now = new Date();
    // A lock that is gone was taken for stale; what is downloaded is checked in the end all the same.
    utimes(path, now, now).catch(() => {});
  }, BEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(beat);
    if ((await read(path)) === mine) await rm(path, { force: true });
  }
}

async function acquire(path: string, mine: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx');
    try {
      await file.writeFile(mine);
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  }
}

async function removeStale(path: string): Promise<void> {
  try {
    const owner = await read(path);
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs < STALE_MS) return;
    const aside = `${path}.${randomUUID()}`;
    await rename(path, aside);
    // Another process may have replaced the stale lock in between: its lock is put back.
    if ((await read(aside)) !== owner) await link(aside, path).catch(() => {});
    await rm(aside, { force: true });
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error;
  }
}

async function read(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
}

export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
