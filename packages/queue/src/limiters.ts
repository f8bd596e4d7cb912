import {
  RateLimiterMemory,
  RateLimiterPostgres,
  RateLimiterRedis,
  RateLimiterRes,
  type RateLimiterStoreAbstract,
} from 'rate-limiter-flexible';
import type { RateLimit } from './rate.ts';

/** A server that is slower than this is not asked: this process counts by itself until it is back. */
const ANSWER_MS = 500;
/** For PostgreSQL. Made when it is needed first. */
const TABLE = 'batchmill_rate';

/** What `openRateLimit` opens when a limit is first asked for. */
export async function openLimiters(url: string | null): Promise<RateLimit> {
  const limiters = new Map<number, RateLimiterMemory | RateLimiterStoreAbstract>();
  const store = url === null ? null : await openStore(url);
  const limiterOf = (perSecond: number) => {
    const known = limiters.get(perSecond);
    if (known !== undefined) return known;
    const memory = new RateLimiterMemory({ points: perSecond, duration: 1, keyPrefix: `${perSecond}` });
    const made = store?.limiter(perSecond, memory) ?? memory;
    limiters.set(perSecond, made);
    return made;
  };
  return {
    take: async (name, perSecond) => {
      try {
        await limiterOf(perSecond).consume(name);
        return 0;
      } catch (refused) {
        if (refused instanceof RateLimiterRes) return Math.max(1, refused.msBeforeNext);
        throw refused;
      }
    },
    close: async () => {
      await store?.close();
    },
  };
}

interface Store {
  limiter(perSecond: number, memory: RateLimiterMemory): RateLimiterStoreAbstract;
  close(): Promise<void>;
}

function openStore(url: string): Promise<Store> {
  return /^rediss?:/.test(url) ? openRedis(url) : openPostgres(url);
}

async function openRedis(url: string): Promise<Store> {
  const { Redis } = await import('ioredis');
  const connection = new Redis(url, {
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    commandTimeout: ANSWER_MS,
  });
  // While it is away, memory counts; the event only needs a listener.
  connection.on('error', () => {});
  return {
    limiter: (perSecond, memory) =>
      new RateLimiterRedis({
        storeClient: connection,
        keyPrefix: `batchmill:rate:${perSecond}`,
        points: perSecond,
        duration: 1,
        // Whoever is over the limit is refused without asking again.
        inMemoryBlockOnConsumed: perSecond,
        rejectIfRedisNotReady: true,
        insuranceLimiter: memory,
      }),
    close: async () => {
      connection.disconnect();
    },
  };
}

async function openPostgres(url: string): Promise<Store> {
  const { default: pg } = await import('pg');
  const pool = new pg.Pool({
    connectionString: url,
    max: 4,
    connectionTimeoutMillis: ANSWER_MS,
    query_timeout: ANSWER_MS,
  });
  pool.on('error', () => {});
  return {
    limiter: (perSecond, memory) =>
      new RateLimiterPostgres(
        {
          storeClient: pool,
          storeType: 'pool',
          tableName: TABLE,
          keyPrefix: `${perSecond}`,
          points: perSecond,
          duration: 1,
          inMemoryBlockOnConsumed: perSecond,
          insuranceLimiter: memory,
        },
        // Of several that make the table at once all but one may fail; without a table, memory counts.
        () => {},
      ),
    close: () => pool.end(),
  };
}
