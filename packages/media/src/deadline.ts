/** A signal that fires after some time or with another signal, and lives no longer than the work it bounds. */
export interface Deadline {
  signal: AbortSignal;
  /** True if the time is over. */
  expired(): boolean;
  /** To be called when the work has ended, however. */
  clear(): void;
}

/** By hand, because `AbortSignal.timeout` stays in memory until its time is over, for a million pictures too. */
export function deadline(ms: number, outer: AbortSignal | undefined): Deadline {
  const stop = new AbortController();
  let over = false;
  const timer = setTimeout(() => {
    over = true;
    stop.abort(new Error(`took longer than ${ms} ms`));
  }, ms);
  const onAbort = () => stop.abort(outer?.reason);
  if (outer?.aborted === true) onAbort();
  outer?.addEventListener('abort', onAbort, { once: true });
  return {
    signal: stop.signal,
    expired: () => over,
    clear: () => {
      clearTimeout(timer);
      outer?.removeEventListener('abort', onAbort);
    },
  };
}
