import { NO_QUOTA, type Quota } from '@batchmill/batch';
import { RequestError } from '@batchmill/contract';
import type { KeyQuota } from '@batchmill/keys';
import type { RateLimit } from '@batchmill/queue';
import type { MiddlewareHandler } from 'hono';
import type { Env } from '../deps.ts';

/** What a key may have in the queue, and how often it may ask. `null`: anything. */
export interface RequestQuota extends Quota {
  requestsPerSecond: number | null;
}

export const NO_LIMITS: RequestQuota = { ...NO_QUOTA, requestsPerSecond: null };

/** What holds for a key: its own where it has one, else what is set for all. */
export function quotaOf(key: KeyQuota, all: RequestQuota): RequestQuota {
  const own = <T>(value: T | undefined, fallback: T) => (value === undefined ? fallback : value);
  return {
    batches: own(key.batches, all.batches),
    items: own(key.items, all.items),
    bytes: own(key.bytes, all.bytes),
    requestsPerSecond: own(key.requests_per_second, all.requestsPerSecond),
  };
}

/** Refuses requests of a key over its rate. Comes after `authenticate`: nobody can use up the rate of another's key. */
export function limitRate(rate: RateLimit): MiddlewareHandler<Env> {
  return async (c, next) => {
    const most = c.get('quota')?.requestsPerSecond ?? null;
    if (most !== null) {
      const ms = await rate.take(c.get('key') ?? c.get('tenant'), most);
      if (ms > 0) {
        c.header('retry-after-ms', String(ms));
        throw new RequestError(429, `This API key may send ${most} requests a second. Slow down.`, {
          code: 'rate_limit_exceeded',
          again: { retry: true, seconds: ms / 1000 },
        });
      }
    }
    await next();
  };
}
