/** Counts requests by the second, over all processes that share a queue's server. */
export interface RateLimit {
  /** Takes one of `perSecond`. 0 if there was one left, else the milliseconds until there are again. */
  take(name: string, perSecond: number): Promise<number>;
  close(): Promise<void>;
}

/**
 * Rate limits by `rate-limiter-flexible` at the queue's server, on a connection of their own that is opened when a limit is
 * first asked for. `null`: in memory, for a service that is one process. While the server is away each process counts alone:
 * requests are not refused because nobody can count them. Where no key has a limit, none of it is loaded.
 */
export function openRateLimit(url: string | null): RateLimit {
  let opened: Promise<RateLimit> | null = null;
  return {
    take: async (name, perSecond) => {
      opened ??= import('./limiters.ts').then(({ openLimiters }) => openLimiters(url));
      return (await opened).take(name, perSecond);
    },
    close: async () => {
      await (await opened)?.close();
    },
  };
}
