/**
 * How many workers to run: enough that every batch is done by its deadline, and no more. `docs/autoscaling.md` has the formula in
 * words.
 */

/** What is left to do of one batch in one lane. */
export interface Demand {
  /** Seconds that one worker would take for it, alone. */
  workSeconds: number;
  /** Shards that are not done: a shard is done by one worker, so no more workers than these have a use. */
  shards: number;
  /** When it was accepted, and when it expires. Unix seconds. */
  since: number;
  deadline: number;
}

export interface Scaling {
  /** Most workers there may be. */
  maxWorkers: number;
  /** From when a worker is asked for to its first item, in seconds. */
  startSeconds: number;
  /** The part of the time left that the work is planned to take, above 0 to 1: the rest is for what nobody foresaw. */
  pace: number;
  /** Work that is not worth a start may wait this long for more of it, in seconds. */
  patienceSeconds: number;
}

/** An answer is wanted at least so often: less time than this is never planned with, in seconds. */
const SHORTEST = 30;

/**
 * Workers wanted now.
 *
 * With deadlines in order, d₁ ≤ d₂ ≤ …, the work that must be done by dₖ is Cₖ = Σ_{i ≤ k} workᵢ (the demand bound of
 * earliest-deadline-first scheduling: Baruah, Rosier, Howell 1990). The time planned for it is Tₖ = pace · (dₖ − now). Of n workers
 * `running` are there and the others have `startSeconds` less, so that n must give n·Tₖ − (n − running)⁺·startSeconds ≥ Cₖ.
 * The answer is the least n that does for every k, no more than there are shards, and no more than `maxWorkers`.
 *
 * While none runs, a start waits until it is worth it: until the work takes at least as long as the start, or the oldest has waited
 * for `patienceSeconds`, or more than one worker would be needed if it waited any longer.
 *
 * @param running infer workers that are there.
 * @param now Unix seconds.
 */
export function workersWanted(demands: readonly Demand[], running: number, now: number, scaling: Scaling): number {
  // What is late is not begun any more.
  const open = demands
    .filter(({ shards, deadline }) => shards > 0 && deadline > now)
    .toSorted((a, b) => a.deadline - b.deadline);
  if (open.length === 0) return 0;
  let work = 0;
  let shards = 0;
  let wanted = 1;
  for (const demand of open) {
    work += demand.workSeconds;
    shards += demand.shards;
    const time = Math.max(SHORTEST, scaling.pace * (demand.deadline - now));
    wanted = Math.max(wanted, Math.min(shards, enough(work, time, running, scaling.startSeconds)));
  }
  wanted = Math.min(wanted, scaling.maxWorkers);
  return running === 0 && wanted === 1 && mayWait(open, work, now, scaling) ? 0 : wanted;
}

/** The least number of workers that do this much work in this time, when `running` of them are there. */
function enough(work: number, time: number, running: number, startSeconds: number): number {
  if (work <= running * time) return Math.ceil(work / time);
  // Nobody who is started now can help in time: all there may be, for what can still be saved.
  if (time <= startSeconds) return Number.POSITIVE_INFINITY;
  return running + Math.ceil((work - running * time) / (time - startSeconds));
}

function mayWait(open: readonly Demand[], work: number, now: number, scaling: Scaling): boolean {
  const { startSeconds, patienceSeconds, pace } = scaling;
  if (work >= startSeconds) return false;
  return open.every(({ since, deadline }) => {
    const left = pace * (deadline - now) - startSeconds - work;
    return now - since < patienceSeconds && left > patienceSeconds;
  });
}
