/** The queue's server cannot be reached or used. `message` says which and why, never its password. */
export class QueueUnavailableError extends Error {
  override readonly name = 'QueueUnavailableError';
}

/** The work's result, or a `QueueUnavailableError` after `ms`. The work is not stopped: it may still come about later. */
export async function within<T>(ms: number, work: Promise<T>, say: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new QueueUnavailableError(say())), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** How long after its handler a job may take to leave the queue, before that is given up: its lock, or the queue, is gone. */
export const LEAVE_MS = 1_000;

/** What the queue's server may take to say goodbye. Nothing depends on it, and a process that is to end must. */
const GOODBYE_MS = 3_000;

export async function patiently(closing: Promise<unknown>): Promise<void> {
  await within(GOODBYE_MS, closing, () => 'no goodbye').catch(() => {});
}
