import { open } from 'node:fs/promises';
import { codeOf } from './errors.ts';

/**
 * Flushes folders, so that the names in them survive a power cut. Calls for one folder that come while it is being
 * flushed share the next flush: a hundred objects put at once cost a few flushes, not a hundred.
 */
export class FolderSync {
  readonly #running = new Map<string, Promise<void>>();
  readonly #waiting = new Map<string, Promise<void>>();

  /** Resolves when a flush that began after this call is done. */
  sync(folder: string): Promise<void> {
    const running = this.#running.get(folder);
    if (running === undefined) return this.#start(folder);
    const waiting = this.#waiting.get(folder) ?? this.#startAfter(running, folder);
    return waiting;
  }

  #start(folder: string): Promise<void> {
    const flush = flushFolder(folder).finally(() => this.#running.delete(folder));
    this.#running.set(folder, flush);
    return flush;
  }

  #startAfter(running: Promise<void>, folder: string): Promise<void> {
    const next = () => {
      this.#waiting.delete(folder);
      return this.#start(folder);
    };
    const waiting = running.then(next, next);
    this.#waiting.set(folder, waiting);
    return waiting;
  }
}

async function flushFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    const code = codeOf(error);
    // Removed meanwhile, together with what was put into it; or a file system that cannot flush folders (some network
    // file systems) and whose names are as safe as it makes them.
    if (code !== 'ENOENT' && code !== 'EINVAL' && code !== 'ENOTSUP') throw error;
  }
}
