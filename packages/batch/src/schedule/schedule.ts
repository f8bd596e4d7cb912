import { type Bucket, layout } from '@batchmill/bucket';
import { LANES, type PlacedShard, type Queues, type ShardRef } from '@batchmill/queue';
import { BatchFact, readFact, type Shard } from '../state.ts';
import { type OpenBatch, positionOf, priorityOf, urgentFrom } from './priority.ts';

export interface ScheduleOptions {
  /** Shards of one batch and lane that wait in the queue, beside those that run. Default 16. */
  window?: number;
  /** How long a list of the open batches serves, in milliseconds. Default 500. */
  listMs?: number;
}

const WINDOW = 16;
const LIST_MS = 500;
const READS = 16;

/**
 * Places shards in the queue, by what is in the bucket and what runs: nothing is remembered, so a queue that was wiped is
 * filled in the same order. What it keeps is read from the bucket, and lists of open batches serve for a moment only.
 */
export class Schedule {
  readonly #bucket: Bucket;
  readonly #queues: Pick<Queues, 'runningShards'>;
  readonly #window: number;
  readonly #listMs: number;
  /** Deadlines of open batches, by id: they never change. */
  readonly #deadlines = new Map<string, number>();
  /** Batches that have ended and may be in a list all the same. */
  readonly #ended = new Set<string>();
  #list: { at: number; open: Promise<Map<string, string[]>> } | null = null;

  constructor(bucket: Bucket, queues: Pick<Queues, 'runningShards'>, options: ScheduleOptions = {}) {
    this.#bucket = bucket;
    this.#queues = queues;
    this.#window = options.window ?? WINDOW;
    this.#listMs = options.listMs ?? LIST_MS;
  }

  /** The next shards of a batch, with their places. `open`: those that are not done, in order. */
  async next(batch: BatchFact, open: readonly Pick<Shard, 'shard' | 'lane' | 'items'>[]): Promise<PlacedShard[]> {
    this.#deadlines.set(batch.id, batch.expires_at);
    const [running, ids] = await Promise.all([this.#queues.runningShards(), this.#openOf(batch.tenant)]);
    const mine = running.filter((shard) => shard.tenant === batch.tenant);
    const others = await this.#batches(batch.tenant, ids, mine);
    const here = new Set(mine.filter((s) => s.batchId === batch.id).map((s) => s.shard));
    const rank = {
      running: mine.length,
      urgent: Date.now() / 1000 >= urgentFrom(batch),
      position: positionOf({ id: batch.id, expiresAt: batch.expires_at, running: here.size }, others),
      batches: Math.max(1, others.length + (ids.includes(batch.id) ? 0 : 1)),
    };
    return LANES.flatMap((lane) =>
      open
        .filter((s) => s.lane === lane && !here.has(s.shard))
        .slice(0, this.#window)
        .map(({ shard, items }, place) => ({
          tenant: batch.tenant,
          batchId: batch.id,
          shard,
          lane,
          items,
          priority: priorityOf({ ...rank, place }),
        })),
    );
  }

  /** A batch that has ended does not count any more, also where a list still has it. */
  ended(id: string): void {
    this.#ended.add(id);
  }

  async #batches(tenant: string, ids: readonly string[], running: readonly ShardRef[]): Promise<OpenBatch[]> {
    const counts = new Map<string, number>();
    for (const { batchId } of running) counts.set(batchId, (counts.get(batchId) ?? 0) + 1);
    const unknown = ids.filter((id) => !this.#deadlines.has(id));
    for (let i = 0; i < unknown.length; i += READS)
      await Promise.all(unknown.slice(i, i + READS).map((id) => this.#read(tenant, id)));
    return ids.map((id) => ({
      id,
      // One that is being created has no deadline yet: it goes last until it has one.
      expiresAt: this.#deadlines.get(id) ?? Number.POSITIVE_INFINITY,
      running: counts.get(id) ?? 0,
    }));
  }

  async #read(tenant: string, id: string): Promise<void> {
    const fact = await readFact(this.#bucket, layout.batch.batch(tenant, id), BatchFact);
    if (fact !== null) this.#deadlines.set(id, fact.expires_at);
  }

  async #openOf(tenant: string): Promise<string[]> {
    if (this.#list === null || Date.now() - this.#list.at >= this.#listMs) {
      const open = this.#readOpen();
      this.#list = { at: Date.now(), open };
      open.catch(() => {
        this.#list = null;
      });
    }
    const ids = (await this.#list.open).get(tenant) ?? [];
    return ids.filter((id) => !this.#ended.has(id));
  }

  async #readOpen(): Promise<Map<string, string[]>> {
    const open = new Map<string, string[]>();
    const known = new Set<string>();
    for await (const { key } of this.#bucket.list(layout.batch.openPrefix)) {
      const [id, tenant] = key.slice(layout.batch.openPrefix.length).split('/');
      if (id === undefined || tenant === undefined) continue;
      known.add(id);
      const ids = open.get(tenant);
      if (ids === undefined) open.set(tenant, [id]);
      else ids.push(id);
    }
    for (const id of this.#deadlines.keys()) if (!known.has(id)) this.#deadlines.delete(id);
    for (const id of this.#ended) if (!known.has(id)) this.#ended.delete(id);
    return open;
  }
}
