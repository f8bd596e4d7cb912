import { BucketKeyError, BucketUnavailableError } from '../port.ts';

/** The errno name of a failed system call (`ENOENT`), or `''` for any other error. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

const WHAT_IS_WRONG: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full; free some space',
  EDQUOT: 'the disk quota is used up; free some space or raise the quota',
  EFBIG: 'the object is larger than the file system allows',
  EROFS: 'the file system is read-only; mount it writable',
  EACCES: 'this user may not write there; change the owner or the mode of the folder',
  EPERM:
    'the operation is not permitted there; the file system must support hard links and this user must own the folder',
  ENOTSUP: 'the file system does not support hard links; use another one',
  ENOSYS: 'the file system does not support hard links; use another one',
  ENOENT: 'the folder is gone; was the disk unmounted?',
  EIO: 'the disk reports a read or write error',
  ENXIO: 'the disk is gone',
  ENODEV: 'the disk is gone',
  ESTALE: 'the network file system lost the folder; mount it again',
  ETIMEDOUT: 'the network file system does not answer',
  EMFILE: 'this process has too many files open; raise `ulimit -n`',
  ENFILE: 'the machine has too many files open',
  ENAMETOOLONG: 'the path is too long; use a folder with a shorter path',
  ELOOP: 'the path has a loop of symbolic links',
};

/** What a failed system call means to the caller of a bucket. An error that is not one is passed on as it is. */
export function explain(error: unknown, root: string, key?: string): unknown {
  const code = codeOf(error);
  // ERR_…: Node's own errors, about how it was called.
  if (code === '' || code.startsWith('ERR_')) return error;
  if (key !== undefined && (code === 'EISDIR' || code === 'ENOTDIR')) {
    return new BucketKeyError(
      `${JSON.stringify(key)} cannot be stored in a folder: a key must not be the beginning, up to a "/", of another one.`,
    );
  }
  const what = WHAT_IS_WRONG[code] ?? `the file system says ${code}`;
  return new BucketUnavailableError(`The bucket in ${root} cannot be used: ${what} (${code}).`, { cause: error });
}
