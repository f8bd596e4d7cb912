import type { Lane, ShardRef } from '@batchmill/queue';

/** One shard that this worker has taken. */
export interface Taken {
  /** Of its items, so many have results already or are not wanted: they will not begin. */
  skip(items: number): void;
  /** One of its items has begun; one that is done in pieces has ended, since it begins whenever it may. */
  began(): void;
  end(): void;
}

interface Held extends ShardRef {
  lane: Lane;
  /** Items that have not begun. */
  left: number;
}

/** Batches of one tenant, and shards in all, up to which shards are taken although there is enough to do. */
const MOST_BATCHES = 4;
const MOST_SHARDS = 64;
/** Fetching and reading a shard takes about so long, from an object store that is not near. */
const STRETCH_MS = 200;

/**
 * What this worker has taken and not begun: decides whether it takes more. It holds no more than keeps it busy, so that
 * shards spread over all workers, and beside that a shard of each batch that would otherwise wait for a shard of another to
 * be done: the turns then see to it that each gets its share.
 */
export class Backlog {
  readonly #least: number;
  readonly #held = new Set<Held>();
  #left = 0;
  /** Items that began in this stretch of time, and in the one before. */
  #stretch = { since: 0, now: 0, before: 0 };
  #low = Promise.withResolvers<void>();

  /** @param least items waiting to begin, below which more are wanted however slow they are. */
  constructor(least: number) {
    this.#least = least;
  }

  take({ tenant, batchId, shard, lane, items }: ShardRef & { lane: Lane; items: number }): Taken {
    const held: Held = { tenant, batchId, shard, lane, left: items };
    this.#held.add(held);
    this.#left += items;
    const less = (items: number) => {
      const gone = Math.min(items, held.left);
      held.left -= gone;
      this.#left -= gone;
      this.#tell();
    };
    return {
      skip: less,
      began: () => {
        this.#count();
        less(1);
      },
      end: () => {
        less(held.left);
        this.#held.delete(held);
        this.#tell();
      },
    };
  }

  /** Whether there is room for whatever shard of this lane comes next. A lane has one at least, so that none waits for the other. */
  wants(lane: Lane): boolean {
    return this.#left < this.#enough() || ![...this.#held].some((held) => held.lane === lane);
  }

  /** Whether this shard is taken although there is enough to do: nothing of its batch is here. */
  welcomes({ tenant, batchId }: ShardRef): boolean {
    if (this.#held.size >= MOST_SHARDS) return false;
    const batches = new Set<string>();
    for (const held of this.#held) if (held.tenant === tenant) batches.add(held.batchId);
    return !batches.has(batchId) && batches.size < MOST_BATCHES;
  }

  /** Resolves when more is wanted, or after `ms`. */
  async low(ms: number): Promise<void> {
    if (this.#left < this.#enough()) return;
    const { promise } = this.#low;
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([
      promise,
      new Promise((done) => {
        timer = setTimeout(done, ms);
      }),
    ]);
    clearTimeout(timer);
  }

  #tell(): void {
    if (this.#left >= this.#enough()) return;
    this.#low.resolve();
    this.#low = Promise.withResolvers();
  }

  /** As many as begin while the next shard is fetched and read. */
  #enough(): number {
    return Math.max(this.#least, this.#stretch.before);
  }

  #count(): void {
    const time = performance.now();
    const { since, now } = this.#stretch;
    if (time - since >= STRETCH_MS)
      this.#stretch = { since: time, now: 1, before: time - since < 2 * STRETCH_MS ? now : 0 };
    else this.#stretch.now++;
  }
}
