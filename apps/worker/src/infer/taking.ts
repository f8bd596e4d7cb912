import type { Lane, Queues, ShardTaker } from '@batchmill/queue';
import { abortable } from './abortable.ts';
import type { Backlog } from './backlog.ts';

/** How often a worker that has enough to do looks whether a batch waits of which it has nothing. */
const LOOK_MS = 100;

/**
 * Takes shards of one lane as this worker wants them, until `signal` fires; resolves when it takes no more, also while the queue's
 * server is away and answers nothing: what was asked of it then is the taker's to end.
 */
export async function keepTaking(
  lane: Lane,
  taker: Pick<ShardTaker, 'take' | 'takeNext'>,
  queues: Pick<Queues, 'nextShard'>,
  backlog: Backlog,
  signal: AbortSignal,
): Promise<void> {
  try {
    while (!signal.aborted) {
      if (backlog.wants(lane)) {
        await abortable(taker.takeNext(), signal);
        continue;
      }
      // Without an answer there is nothing to take; the next look will tell.
      const next = await abortable(
        queues.nextShard(lane).catch(() => null),
        signal,
      );
      if (next === null || !backlog.welcomes(next) || !(await abortable(taker.take(), signal)))
        await backlog.low(LOOK_MS);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
