import { type Bucket, parsePart } from '@batchmill/bucket';
import { decodeRecords, type ResultRecord } from '../results/record.ts';
import { readShard } from '../results/shard.ts';
import type { PlanFact, Shard } from '../state.ts';

/** What becomes of an item that has no result. */
export type Unfinished = (position: number, customId: string) => ResultRecord;

/** Shards read ahead of the one being written, per lane: hides the bucket's latency in bounded memory. */
const READ_AHEAD = 2;

/**
 * The results of a whole batch in input order, exactly one per item, some at a time. Where two workers both answered an
 * item, the earliest part wins. Items without a result become what `unfinished` makes of them.
 * Memory holds a few shards per lane, whatever the batch's size.
 */
export async function* mergeResults(
  bucket: Bucket,
  at: { tenant: string; id: string },
  plan: PlanFact,
  parts: string[],
  unfinished: Unfinished,
): AsyncGenerator<ResultRecord[]> {
  const partsOf = new Map<number, string[]>();
  for (const key of parts) {
    const shard = parsePart(key)?.shard;
    if (shard === undefined) continue;
    const list = partsOf.get(shard);
    if (list === undefined) partsOf.set(shard, [key]);
    else list.push(key);
  }
  const load = (shard: Shard) => loadShard(bucket, at, shard, partsOf.get(shard.shard) ?? [], unfinished);
  const lanes = [...new Set(plan.shards.map((s) => s.lane))].map((lane) =>
    readAhead(
      plan.shards.filter((s) => s.lane === lane),
      load,
    ),
  );
  yield* mergeOrdered(lanes);
}

/**
 * Merges streams that are each in order of position into one. Yields whenever a stream has to be read further, so that
 * what is held is never more than one piece of each.
 */
export async function* mergeOrdered<T extends { position: number }>(lanes: AsyncIterator<T[]>[]): AsyncGenerator<T[]> {
  const heads = await Promise.all(lanes.map(async (lane) => ({ lane, piece: await piece(lane), next: 0 })));
  for (;;) {
    const merged: T[] = [];
    let refill: (typeof heads)[number] | null = null;
    while (refill === null) {
      let lowest: { head: (typeof heads)[number]; item: T } | null = null;
      for (const head of heads) {
        const item = head.piece[head.next];
        if (item !== undefined && (lowest === null || item.position < lowest.item.position)) lowest = { head, item };
      }
      if (lowest === null) break;
      merged.push(lowest.item);
      lowest.head.next++;
      if (lowest.head.next === lowest.head.piece.length) refill = lowest.head;
    }
    if (merged.length > 0) yield merged;
    if (refill === null) return;
    refill.piece = await piece(refill.lane);
    refill.next = 0;
  }
}

/** The next piece that holds anything, or an empty one at the end. */
async function piece<T>(lane: AsyncIterator<T[]>): Promise<T[]> {
  for (;;) {
    const { done, value } = await lane.next();
    if (done === true) return [];
    if (value.length > 0) return value;
  }
}

async function loadShard(
  bucket: Bucket,
  at: { tenant: string; id: string },
  shard: Shard,
  parts: string[],
  unfinished: Unfinished,
): Promise<ResultRecord[]> {
  const found = new Map<number, ResultRecord>();
  // The names sort by age.
  for (const key of parts.toSorted()) {
    const bytes = await bucket.get(key);
    if (bytes === null) throw new Error(`results part ${key} is gone`);
    for (const record of decodeRecords(bytes)) if (!found.has(record.position)) found.set(record.position, record);
  }
  if (found.size < shard.items) {
    for (const item of await readShard(bucket, at.tenant, at.id, shard.shard))
      if (!found.has(item.position)) found.set(item.position, unfinished(item.position, item.custom_id));
  }
  return [...found.values()].sort((a, b) => a.position - b.position);
}

/** `load` over `items` in order, the next few already under way. */
async function* readAhead<T, R>(items: T[], load: (item: T) => Promise<R>): AsyncGenerator<R> {
  const pending: Promise<R>[] = [];
  let next = 0;
  const fill = () => {
    while (pending.length <= READ_AHEAD && next < items.length) {
      const item = items[next++];
      if (item === undefined) break;
      const loading = load(item);
      // Awaited in its turn; until then a failure must not count as unhandled.
      loading.catch(() => {});
      pending.push(loading);
    }
  };
  for (fill(); pending.length > 0; fill()) {
    const first = pending.shift();
    if (first !== undefined) yield await first;
  }
}
