import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Somebody else runs on this home folder. */
export class HomeInUseError extends Error {
  override readonly name = 'HomeInUseError';
}

/**
 * Takes a home folder for this process: two embedded services on one folder would fight over its database. A lock left
 * by a process that is gone is taken over.
 *
 * @returns the function that gives it back.
 * @throws HomeInUseError that names the process.
 */
export async function lockHome(home: string): Promise<() => Promise<void>> {
  await mkdir(home, { recursive: true });
  const file = join(home, 'lock');
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      const handle = await open(file, 'wx');
      await handle.writeFile(String(process.pid));
      await handle.close();
      return () => rm(file, { force: true });
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    const owner = Number.parseInt(await readFile(file, 'utf8').catch(() => ''), 10);
    if (Number.isInteger(owner) && owner !== process.pid && isAlive(owner))
      throw new HomeInUseError(
        `Another Batchmill (process ${owner}) runs on ${home}. Stop it, or set BATCHMILL_HOME to another folder.`,
      );
    await rm(file, { force: true });
  }
  throw new HomeInUseError(`The lock ${file} cannot be taken.`);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, and is somebody else's.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
