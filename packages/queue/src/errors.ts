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
