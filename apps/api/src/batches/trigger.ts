import { setTimeout as sleep } from 'node:timers/promises';
import type { BatchDeps } from '@batchmill/batch';
import type { Logger } from '@batchmill/telemetry';

/** A request waits this long for the queue. */
const TRIGGER_MS = 2_000;

/**
 * A `trigger` that gives up waiting. A queue that is down would otherwise hold requests until their clients give up and
 * send them again, while the batch is safe in the bucket: the sweep finds it as soon as the queue is back.
 */
export function boundedTrigger(trigger: BatchDeps['trigger'], logger: Logger): BatchDeps['trigger'] {
  return async (tenant, batchId) => {
    const stop = new AbortController();
    const late = sleep(TRIGGER_MS, undefined, { signal: stop.signal }).then(
      () => Promise.reject(new Error(`the queue did not answer within ${TRIGGER_MS / 1000} seconds`)),
      () => {},
    );
    try {
      await Promise.race([trigger(tenant, batchId), late]);
    } catch (err) {
      logger.warn({ err, batch: batchId }, 'the batch could not be queued; the sweep will find it');
      throw err;
    } finally {
      stop.abort();
    }
  };
}
