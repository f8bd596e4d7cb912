import { type Bucket, layout, type ObjectInfo } from '@batchmill/bucket';
import { idTime, RequestError } from '@batchmill/contract';
import type { Retention } from '@batchmill/files';
import { deletePrefix } from './prefix.ts';
import { deleteBatch } from './remove.ts';
import { FailedFact, FinalFact, readFact } from './state.ts';

export interface Tidied {
  /** Batches deleted because their time was over. */
  batches: number;
  /** Objects that belonged to nothing any more. */
  orphans: number;
}

export interface TidyOptions {
  retention?: (tenant: string) => Retention;
  /** Unix milliseconds. */
  now?: number;
  /** Younger objects are left alone: somebody may be reading them. Default 10 minutes. */
  orphanMs?: number;
  /** Ends it at the next batch. */
  signal?: AbortSignal;
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** What only serves to run a batch. */
const RUNNING = /^(shards|results|pieces|told)\//;

/**
 * Looks at every batch there is, by one listing of their objects, and deletes batches whose time is over by `retention`, and
 * what belongs to nothing: results that a worker that was thought dead wrote after its batch had ended, or was deleted. Open
 * batches are not touched. Safe to run at any time, to stop anywhere, and on several workers at once.
 */
export async function tidy(bucket: Bucket, options: TidyOptions = {}): Promise<Tidied> {
  const { now = Date.now(), orphanMs = 10 * 60_000 } = options;
  const tidied: Tidied = { batches: 0, orphans: 0 };
  for await (const found of batchesOf(bucket)) {
    if (options.signal?.aborted === true) break;
    const { tenant, id } = found;
    const old = ({ modified }: ObjectInfo) => modified + orphanMs <= now;
    if (found.ended && (await isOver(bucket, found, options.retention?.(tenant).batches ?? null, now))) {
      try {
        if (await deleteBatch(bucket, tenant, id)) tidied.batches++;
      } catch (error) {
        // Being put away at this moment: next time.
        if (!(error instanceof RequestError)) throw error;
      }
      continue;
    }
    const prefix = layout.batch.prefix(tenant, id);
    const leftOver = found.ended && found.running;
    // An id gets its batch within minutes, or never.
    const nobodys = !found.known && (idTime(id) ?? now) + DAY <= now;
    if (!leftOver && !nobodys) continue;
    if ((await bucket.head(layout.batch.open(tenant, id))) !== null) continue;
    tidied.orphans += await deletePrefix(
      bucket,
      prefix,
      (object) => old(object) && (nobodys || RUNNING.test(object.key.slice(prefix.length))),
    );
  }
  return tidied;
}

/** What the names of a batch's objects tell. */
interface Found {
  tenant: string;
  id: string;
  /** There is a `batch.json`. */
  known: boolean;
  ended: boolean;
  /** Objects that only serve to run it. */
  running: boolean;
}

/** All batches, one listing, holding one at a time. */
async function* batchesOf(bucket: Bucket): AsyncGenerator<Found> {
  let found: Found | null = null;
  for await (const { key } of bucket.list(layout.batch.all)) {
    const [, tenant, id, name] = /^batches\/([^/]+)\/(batch_[0-9a-f]{32})\/(.+)$/.exec(key) ?? [];
    if (tenant === undefined || id === undefined || name === undefined) continue;
    if (found === null || found.id !== id || found.tenant !== tenant) {
      if (found !== null) yield found;
      found = { tenant, id, known: false, ended: false, running: false };
    }
    found.known ||= name === 'batch.json';
    found.ended ||= name === 'final.json' || name === 'failed.json';
    found.running ||= RUNNING.test(name);
  }
  if (found !== null) yield found;
}

/** True if the batch ended more than `days` ago. */
async function isOver(bucket: Bucket, { tenant, id }: Found, days: number | null, now: number): Promise<boolean> {
  // It cannot have ended before it was made: most are passed over without being read.
  if (days === null || (idTime(id) ?? now) + days * DAY > now) return false;
  const [final, failed] = await Promise.all([
    readFact(bucket, layout.batch.final(tenant, id), FinalFact),
    readFact(bucket, layout.batch.failed(tenant, id), FailedFact),
  ]);
  const at = final?.at ?? failed?.failed_at;
  return at !== undefined && at * 1000 + days * DAY <= now;
}
