import { setTimeout as sleep } from 'node:timers/promises';
import { BucketUnavailableError } from '@batchmill/bucket';

/** Between tries, about 45 s in all: as long as a worker waits with its last results. */
const PAUSES_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000];

/**
 * Stores something, also through a short time in which the bucket is away: an answer that is made again instead costs more than
 * the wait. `store` must be safe to repeat: what failed may have been stored all the same.
 * @throws BucketUnavailableError if it stays away; anything else at once.
 */
export async function persist(store: () => Promise<unknown>, pausesMs: readonly number[] = PAUSES_MS): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await store();
      return;
    } catch (error) {
      const pause = pausesMs[attempt];
      if (!(error instanceof BucketUnavailableError) || pause === undefined) throw error;
      await sleep(pause);
    }
  }
}
