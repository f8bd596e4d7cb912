import { BatchFact, listProgress, PlanFact, readFact } from '@batchmill/batch';
import { type Bucket, layout, parsePieces } from '@batchmill/bucket';
import { progressUnit } from '@batchmill/contract';
import { LANES, type Lane } from '@batchmill/queue';

/** What is left of one open batch in one lane. */
export interface LaneWork {
  batchId: string;
  lane: Lane;
  endpoint: string;
  /** Unix seconds. */
  since: number;
  deadline: number;
  shards: number;
  items: number;
  /** Estimated. */
  tokens: number;
  pages: number;
  audioSeconds: number;
}

/** Batches looked at side by side. */
const SIDE_BY_SIDE = 8;

interface Planned {
  batch: BatchFact;
  plan: PlanFact;
}

/** Reads from the bucket what work is left. Plans never change, so each is read once; progress is a listing per batch. */
export class WorkBook {
  readonly #bucket: Bucket;
  #plans = new Map<string, Planned>();

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  /** Of every open batch whose plan is made. `open` counts the others too: what they hold is not known yet. */
  async read(): Promise<{ open: number; work: LaneWork[] }> {
    const batches: { tenant: string; id: string }[] = [];
    for await (const { key } of this.#bucket.list(layout.batch.openPrefix)) {
      const [id, tenant] = key.slice(layout.batch.openPrefix.length).split('/');
      if (id !== undefined && tenant !== undefined) batches.push({ tenant, id });
    }
    const plans = new Map<string, Planned>();
    const work: LaneWork[] = [];
    for (let at = 0; at < batches.length; at += SIDE_BY_SIDE) {
      const some = batches.slice(at, at + SIDE_BY_SIDE).map(async ({ tenant, id }) => {
        const planned = this.#plans.get(id) ?? (await this.#plan(tenant, id));
        if (planned === null) return;
        plans.set(id, planned);
        work.push(...(await this.#left(planned)));
      });
      await Promise.all(some);
    }
    this.#plans = plans;
    return { open: batches.length, work };
  }

  async #plan(tenant: string, id: string): Promise<Planned | null> {
    const [batch, plan] = await Promise.all([
      readFact(this.#bucket, layout.batch.batch(tenant, id), BatchFact),
      readFact(this.#bucket, layout.batch.plan(tenant, id), PlanFact),
    ]);
    return batch === null || plan === null ? null : { batch, plan };
  }

  async #left({ batch, plan }: Planned): Promise<LaneWork[]> {
    const { tenant, id, endpoint, created_at: since, expires_at: deadline } = batch;
    const [cancelled, finalizing] = await Promise.all([
      this.#bucket.head(layout.batch.cancel(tenant, id)),
      this.#bucket.head(layout.batch.finalizing(tenant, id)),
    ]);
    if (cancelled !== null || finalizing !== null) return [];
    const progress = await listProgress(this.#bucket, tenant, id);
    const pieces = progressUnit(endpoint) === null ? new Map<number, number>() : await this.#pieces(tenant, id);
    return LANES.flatMap((lane) => {
      const left = {
        batchId: id,
        lane,
        endpoint,
        since,
        deadline,
        shards: 0,
        items: 0,
        tokens: 0,
        pages: 0,
        audioSeconds: 0,
      };
      for (const shard of plan.shards) {
        const done = progress.get(shard.shard);
        if (shard.lane !== lane || done?.done === true) continue;
        const items = Math.max(0, shard.items - (done?.completed ?? 0) - (done?.failed ?? 0));
        if (items === 0) continue;
        const units = shard.pages + shard.audioSeconds;
        // A long document counts by its pages, before it is done as a whole; how many it really has is not known.
        const byUnits = units > 0 ? 1 - ((done?.units ?? 0) + (pieces.get(shard.shard) ?? 0)) / units : 1;
        const part = Math.min(items / shard.items, Math.max(byUnits, 1 / (4 * shard.items)));
        left.shards++;
        left.items += items;
        left.tokens += shard.tokens * part;
        left.pages += shard.pages * part;
        left.audioSeconds += shard.audioSeconds * part;
      }
      return left.shards === 0 ? [] : [left];
    });
  }

  /** Pages, or seconds of sound, by shard, of items that are not done as a whole. */
  async #pieces(tenant: string, id: string): Promise<Map<number, number>> {
    const units = new Map<number, number>();
    for await (const { key } of this.#bucket.list(layout.batch.pieces(tenant, id))) {
      const part = parsePieces(key);
      if (part !== null) units.set(part.shard, (units.get(part.shard) ?? 0) + part.units);
    }
    return units;
  }
}
