import type { Lane, Queues, ShardTaker } from '@batchmill/queue';
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
  const stopped = new Promise<null>((resolve) => {
    signal.addEventListener('abort', () => resolve(null), { once: true });
  });
  while (!signal.aborted) {
    if (backlog.wants(lane)) {
      await Promise.race([taker.takeNext(), stopped]);
      continue;
    }
    // Without an answer there is nothing to take; the next look will tell.
    const next = await Promise.race([queues.nextShard(lane).catch(() => null), stopped]);
    if (signal.aborted) return;
    if (next === null || !backlog.welcomes(next) || !(await Promise.race([taker.take(), stopped])))
      await backlog.low(LOOK_MS);
  }
}
