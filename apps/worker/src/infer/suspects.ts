import { EngineError } from '@batchmill/engine';
import { metrics } from '@batchmill/telemetry';
import type { Claim } from './fair-order.ts';
import type { Slots } from './slots.ts';

/**
 * One engine call. If the engine dies under it, the call is made once more with no other beside it: what kills the engine again
 * then is the culprit and fails with `culprit()`; the others were bystanders and get their answer.
 */
export async function sparingBystanders<T>(
  slots: Slots,
  claim: Claim,
  call: () => Promise<T>,
  signal: AbortSignal,
  culprit: () => Error,
): Promise<T> {
  try {
    return await slots.run(claim, call, signal);
  } catch (error) {
    if (!died(error)) throw error;
  }
  metrics.retries.inc({ what: 'suspect' });
  try {
    return await slots.runAlone(call, signal);
  } catch (error) {
    throw died(error) ? culprit() : error;
  }
}

const died = (error: unknown) => error instanceof EngineError && error.code === 'engine_died';
