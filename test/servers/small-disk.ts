import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { dieWithUs } from './die-with-us.ts';

/** A file system of a few megabytes of its own, to be filled up. */
export interface SmallDisk extends AsyncDisposable {
  folder: string;
  /** Takes all the room that is left. */
  fill(): Promise<void>;
  /** Gives it back. */
  free(): Promise<void>;
}

/**
 * Mounts a tmpfs in a namespace of its own (`unshare` of the Debian package util-linux), which needs no rights on the machine.
 * Other processes of this user get in by `/proc`. It is gone when the process that holds it ends.
 */
export async function mountSmallDisk(megabytes: number): Promise<SmallDisk> {
  const script = `mount -t tmpfs -o size=${megabytes}m tmpfs /mnt && mkdir /mnt/disk && echo up && exec sleep infinity`;
  const holder: ChildProcess = spawn('unshare', ['--map-root-user', '--mount', 'sh', '-c', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  dieWithUs(holder);
  if (holder.stdout === null) throw new Error('no output');
  await Promise.race([
    once(holder.stdout, 'data'),
    once(holder, 'exit').then(() => Promise.reject(new Error('a small disk cannot be mounted here'))),
  ]);
  const mount = `/proc/${holder.pid}/root/mnt`;
  const ballast = join(mount, 'ballast');
  return {
    folder: join(mount, 'disk'),
    fill: async () => {
      const { bavail, bsize } = await statfs(mount);
      const file = await open(ballast, 'w');
      const block = Buffer.alloc(bsize);
      try {
        for (let left = bavail; left >= 0; left--) await file.write(block);
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
      } finally {
        await file.close();
      }
    },
    free: () => rm(ballast, { force: true }),
    [Symbol.asyncDispose]: async () => {
      const ended = once(holder, 'exit');
      holder.kill('SIGKILL');
      await ended;
    },
  };
}
