import type { Lane, Queues, ShardTaker } from '@batchmill/queue';
import type { Backlog } from './backlog.ts';

/** How often a worker that has enough to do looks whether a batch waits of which it has nothing. */
const LOOK_MS = 100;

/** Takes shards of one lane as this worker wants them, until `signal` fires; resolves when it takes no more. */
export async function keepTaking(
  lane: Lane,
  taker: Pick<ShardTaker, 'take' | 'takeNext'>,
  queues: Pick<Queues, 'nextShard'>,
  backlog: Backlog,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    if (backlog.wants(lane)) {
      await taker.takeNext();
      continue;
    }
    // Without an answer there is nothing to take; the next look will tell.
    const next = await queues.nextShard(lane).catch(() => null);
    if (signal.aborted) return;
    if (next === null || !backlog.welcomes(next) || !(await taker.take())) await backlog.low(LOOK_MS);
  }
}
