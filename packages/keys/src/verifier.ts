import { type Bucket, layout } from '@batchmill/bucket';
import { hashOf, isKey, isLive, type KeyRecord, parseRecord } from './record.ts';

/** How long a server trusts what it read about a key: a revocation is in force everywhere after this time. */
export const KEY_CACHE_MS = 5_000;

/** Wrong keys are remembered too; the oldest answers go first, so that guessing cannot fill the memory. */
const MAX_CACHED = 10_000;

/** Checks API keys against the bucket with a short memory. */
export interface Verifier {
  /** The record of a live key, or `null` for anything else. @throws BucketUnavailableError */
  verify(key: string): Promise<KeyRecord | null>;
}

/**
 * A verifier for one bucket. Reads a key at most once per `cacheMs`, however many requests come with it. A revoked key
 * is refused within `cacheMs`; an expired one at once.
 */
export function createVerifier(bucket: Bucket, options: { cacheMs?: number } = {}): Verifier {
  const cacheMs = options.cacheMs ?? KEY_CACHE_MS;
  const cache = new Map<string, { until: number; record: Promise<KeyRecord | null> }>();

  const read = async (hash: string) => {
    const bytes = await bucket.get(layout.key(hash));
    return bytes === null ? null : parseRecord(bytes);
  };

  const lookUp = (hash: string): Promise<KeyRecord | null> => {
    const cached = cache.get(hash);
    if (cached !== undefined && cached.until > performance.now()) return cached.record;
    const record = read(hash);
    cache.delete(hash);
    cache.set(hash, { until: performance.now() + cacheMs, record });
    // A store that was down for a moment must not be remembered as an answer.
    record.catch(() => cache.delete(hash));
    if (cache.size > MAX_CACHED) cache.delete(cache.keys().next().value ?? '');
    return record;
  };

  return {
    verify: async (key) => {
      if (!isKey(key)) return null;
      const record = await lookUp(hashOf(key));
      return record !== null && isLive(record) ? record : null;
    },
  };
}
