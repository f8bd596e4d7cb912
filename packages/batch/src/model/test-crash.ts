import type { Bucket } from '@batchmill/bucket';

/** The process dies here: nothing it was about to do happens any more. */
export class Crash extends Error {
  override readonly name = 'Crash';
}

/** After how many calls the process dies, and whether the last one still takes effect. */
export interface CrashPoint {
  calls: number;
  applied: boolean;
}

/** A bucket as one process sees it that dies at some call. From then on every call fails, as no code of it runs any more. */
export function crashing(bucket: Bucket, { calls, applied }: CrashPoint): Bucket {
  let left = calls;
  const call = async <T>(work: () => Promise<T>, changes = true): Promise<T> => {
    if (left <= 0) throw new Crash();
    if (--left > 0) return work();
    if (applied && changes) await work();
    throw new Crash();
  };
  const look = <T>(work: () => Promise<T>) => call(work, false);
  return {
    url: bucket.url,
    put: (...a) => call(() => bucket.put(...a)),
    create: (...a) => call(() => bucket.create(...a)),
    write: (...a) => call(() => bucket.write(...a)),
    get: (...a) => look(() => bucket.get(...a)),
    read: (...a) => look(() => bucket.read(...a)),
    head: (...a) => look(() => bucket.head(...a)),
    delete: (...a) => call(() => bucket.delete(...a)),
    concat: (...a) => call(() => bucket.concat(...a)),
    presign: (...a) => look(() => bucket.presign(...a)),
    presignWrite: (...a) => look(() => bucket.presignWrite(...a)),
    check: () => look(() => bucket.check()),
    list: async function* (...a) {
      await look(async () => {});
      yield* bucket.list(...a);
    },
    close: async () => {},
  };
}
