import { type Bucket, layout } from '@batchmill/bucket';
import type { Lane } from '@batchmill/queue';
import type { Shard } from '../state.ts';
import type { Estimate } from './estimate.ts';

/** When a shard is full. A shard is what one worker holds at a time, so its size bounds a worker's memory. */
export interface ShardLimits {
  items: number;
  /** Estimated tokens. */
  tokens: number;
  bytes: number;
}

export const SHARD_LIMITS: Record<Lane, ShardLimits> = {
  text: { items: 500, tokens: 400_000, bytes: 4 * 1024 * 1024 },
  media: { items: 64, tokens: 100_000, bytes: 16 * 1024 * 1024 },
};

/** Shards being written at once: enough to hide the bucket's latency, few enough to bound memory. */
const WRITES = 4;

interface OpenShard {
  lines: Buffer[];
  bytes: number;
  tokens: number;
  pages: number;
  audioSeconds: number;
}

/**
 * Groups the items of a batch into shards, per lane, in input order, and writes each when it is full. A shard's object has
 * one line per item: the item's position in the input (from 0), a tab, and the input line as it came. JSON has no raw
 * tab outside white space, so the first tab ends the number.
 */
export class ShardWriter {
  readonly shards: Shard[] = [];
  readonly #open = new Map<Lane, OpenShard>();
  readonly #writing = new Set<Promise<void>>();
  readonly #bucket: Bucket;
  readonly #tenant: string;
  readonly #id: string;
  readonly #limits: Record<Lane, ShardLimits>;

  constructor(bucket: Bucket, tenant: string, id: string, limits = SHARD_LIMITS) {
    this.#bucket = bucket;
    this.#tenant = tenant;
    this.#id = id;
    this.#limits = limits;
  }

  /** Adds the item at `position`. Waits when writing does not keep up. */
  async add(position: number, line: Buffer, cost: Estimate): Promise<void> {
    const limits = this.#limits[cost.lane];
    let open = this.#open.get(cost.lane);
    if (
      open !== undefined &&
      (open.lines.length >= limits.items ||
        open.tokens + cost.tokens > limits.tokens ||
        open.bytes + line.length > limits.bytes)
    ) {
      await this.#write(cost.lane, open);
      open = undefined;
    }
    if (open === undefined) {
      open = { lines: [], bytes: 0, tokens: 0, pages: 0, audioSeconds: 0 };
      this.#open.set(cost.lane, open);
    }
    open.lines.push(Buffer.concat([Buffer.from(`${position}\t`), line, NEWLINE]));
    open.bytes += line.length;
    open.tokens += cost.tokens;
    open.pages += cost.pages;
    open.audioSeconds += cost.audioSeconds;
  }

  /** Writes what is left; when it returns every shard is in the bucket. */
  async end(): Promise<Shard[]> {
    for (const [lane, open] of this.#open) await this.#write(lane, open);
    await Promise.all(this.#writing);
    return this.shards;
  }

  async #write(lane: Lane, open: OpenShard): Promise<void> {
    this.#open.delete(lane);
    const shard = this.shards.length;
    const { tokens, pages } = open;
    const audioSeconds = Math.round(open.audioSeconds);
    this.shards.push({ shard, lane, items: open.lines.length, tokens, pages, audioSeconds });
    const written = this.#bucket
      .put(layout.batch.shard(this.#tenant, this.#id, shard), Buffer.concat(open.lines))
      .finally(() => this.#writing.delete(written));
    this.#writing.add(written);
    // Heard here so that a failure before the next await is not an unhandled rejection; `end` and the race see it too.
    written.catch(() => {});
    if (this.#writing.size >= WRITES) await Promise.race(this.#writing);
  }
}

const NEWLINE = Buffer.from('\n');
