/** Events and deliveries are kept, to be listed and delivered again, for this many days. */
export const KEPT_DAYS = 30;

const DAY_MS = 86_400_000;

/** Days since 1970, in UTC. */
export function today(now = Date.now()): number {
  return Math.floor(now / DAY_MS);
}
