import { randomUUID } from 'node:crypto';
import { type FileHandle, link, mkdir, open, readdir, rename, rm, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { codeOf } from './errors.ts';
import { FolderSync } from './sync.ts';

/** A name that no key can have, so temporary files can never be taken for objects. */
const TEMPORARY = '~tmp';
/** A temporary file that was not written to for this long belongs to a process that is dead. */
const STALE_MS = 6 * 60 * 60 * 1000;
/** A folder can be removed by a deleter between our `mkdir` and our `rename`; it does not happen many times in a row. */
const MAX_TRIES = 100;
/** What is stored is private: never readable for others, for the group as the umask says. */
const FILE_MODE = 0o660;
const FOLDER_MODE = 0o770;

/**
 * How files get into and out of the folder: whole, and so that they survive a power cut.
 *
 * A file is written under a temporary name in the same file system, its data is flushed, then it is renamed (or linked,
 * which fails if the name is taken) to its place, then the folder it is in is flushed. Any crash in between leaves either
 * no object or the whole one, and a stale temporary file that a later `open` removes.
 */
export class Disk {
  readonly root: string;
  readonly #temporary: string;
  readonly #folders = new FolderSync();

  private constructor(root: string) {
    this.root = root;
    this.#temporary = `${root}/${TEMPORARY}`;
  }

  /** Makes the folder if there is none, and removes what dead processes left in it. Other processes may be using it. */
  static async open(root: string): Promise<Disk> {
    const disk = new Disk(root);
    await disk.#makeFolder(disk.#temporary);
    await disk.#removeStale();
    return disk;
  }

  path(key: string): string {
    return `${this.root}/${key}`;
  }

  /**
   * Stores what `fill` writes at `key`. With `exclusive`, `false` if the key was taken. If `fill` throws, nothing is left.
   * `last` runs when everything is written and may still stop it by throwing.
   */
  async store(
    key: string,
    exclusive: boolean,
    fill: (file: FileHandle) => Promise<void>,
    last?: () => void,
  ): Promise<boolean> {
    const target = this.path(key);
    // Spares writing what will be thrown away. Only the link below decides.
    if (exclusive && (await isTaken(target))) {
      await this.#folders.sync(dirname(target));
      return false;
    }
    const temporary = `${this.#temporary}/${randomUUID()}`;
    try {
      const file = await open(temporary, 'wx', FILE_MODE);
      try {
        await fill(file);
        await file.datasync();
      } finally {
        await file.close();
      }
      last?.();
      return await this.#place(temporary, target, exclusive);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      throw error;
    }
  }

  /** Removes a file, and the folders that it leaves empty. */
  async remove(key: string): Promise<void> {
    const path = this.path(key);
    try {
      await unlink(path);
    } catch (error) {
      const code = codeOf(error);
      // EISDIR (Linux) and EPERM (macOS): the name of a folder, which is no object.
      const folder = code === 'EISDIR' || (code === 'EPERM' && (await stat(path)).isDirectory());
      if (!folder && code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
      return this.assertThere();
    }
    let folder = dirname(path);
    while (folder.length > this.root.length && (await removeIfEmpty(folder))) folder = dirname(folder);
    await this.#folders.sync(folder);
  }

  /**
   * Throws ENOENT if the folder itself is gone. Asked before "there is no such object" is said: an unmounted disk looks
   * like an empty one, and an absence is a fact that decisions are made on.
   */
  async assertThere(): Promise<void> {
    await stat(this.#temporary);
  }

  /** Writes, links, reads and removes a file, or throws what went wrong. */
  async probe(): Promise<void> {
    const names = [`${this.#temporary}/${randomUUID()}`, `${this.#temporary}/${randomUUID()}`] as const;
    try {
      const file = await open(names[0], 'wx+', FILE_MODE);
      try {
        await file.write(names[0]);
        await file.datasync();
        await file.read({ position: 0 });
      } finally {
        await file.close();
      }
      await link(names[0], names[1]);
    } finally {
      await Promise.all(names.map((name) => rm(name, { force: true })));
    }
  }

  async #place(temporary: string, target: string, exclusive: boolean): Promise<boolean> {
    const folder = dirname(target);
    const placed = await this.#enter(temporary, target, folder, exclusive);
    // A link leaves the temporary name. If it cannot be removed now, it is stale and goes later.
    if (exclusive) await rm(temporary, { force: true }).catch(() => {});
    // Also when the key was taken: the winner may still be flushing, and who is told "taken" relies on the object too.
    await this.#folders.sync(folder);
    return placed;
  }

  async #enter(temporary: string, target: string, folder: string, exclusive: boolean): Promise<boolean> {
    for (let tries = 1; ; tries++) {
      try {
        if (exclusive) return await linkUnlessTaken(temporary, target);
        await rename(temporary, target);
        return true;
      } catch (error) {
        // The folder is not there yet, or a deleter has just removed it.
        if (codeOf(error) !== 'ENOENT' || tries === MAX_TRIES) throw error;
        await this.#makeFolder(folder);
      }
    }
  }

  async #makeFolder(folder: string): Promise<void> {
    let first: string | undefined;
    try {
      first = await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
    } catch (error) {
      // A deleter removed a parent meanwhile: the caller tries again. Node says ENOTDIR when the parent it found was gone
      // when it looked what it was. A file that really stands in the way fails the caller's next step with the same.
      if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return;
      throw error;
    }
    if (first === undefined) return;
    // Each folder made is an entry of its parent, from the first one made down to the last.
    for (let made = folder; made.length >= first.length; made = dirname(made)) await this.#folders.sync(dirname(made));
  }

  async #removeStale(): Promise<void> {
    for (const name of await readdir(this.#temporary)) {
      const path = `${this.#temporary}/${name}`;
      try {
        if ((await stat(path)).mtimeMs < Date.now() - STALE_MS) await unlink(path);
      } catch (error) {
        // Its owner finished with it, or another process is cleaning too.
        if (codeOf(error) !== 'ENOENT') throw error;
      }
    }
  }
}

async function linkUnlessTaken(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    // Taken, even if it has been deleted since; but a folder is another mistake.
    await isTaken(to);
    return false;
  }
}

/** Whether there is a file. Throws EISDIR if there is a folder. */
async function isTaken(path: string): Promise<boolean> {
  try {
    if ((await stat(path)).isDirectory()) throw Object.assign(new Error(`${path} is a folder`), { code: 'EISDIR' });
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** `true` if the folder is gone now. `rmdir` is atomic: a folder into which a writer just put a file stays. */
async function removeIfEmpty(folder: string): Promise<boolean> {
  try {
    await rmdir(folder);
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return false;
    if (code === 'ENOENT') return true;
    throw error;
  }
}
