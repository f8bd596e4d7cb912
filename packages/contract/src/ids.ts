import { randomFillSync } from 'node:crypto';

/**
 * Identifiers on the wire. Each begins with the creation time (12 hex digits of Unix milliseconds), so
 * that ids of one kind sort by age and a list's cursor can be derived from an id alone.
 */
export type IdKind =
  | 'batch_'
  | 'file-'
  | 'upload_'
  | 'part_'
  | 'req_'
  | 'batch_req_'
  | 'chatcmpl-'
  | 'call_'
  | 'evt_'
  | 'we_'
  | 'dlv_'
  | 'trg_'
  | 'win_'
  | 'modr-'
  | 'key_';

const RANDOM_BYTES = 10;
/** Random bytes ahead of their use: the system gives many as quickly as a few, and each item takes two ids. */
const pool = Buffer.alloc(RANDOM_BYTES * 400);
let used = pool.length;

/** A new id, e.g. `batch_0198f3c2a1b07c…` (12 hex digits of time, 20 of randomness). */
export function newId(kind: IdKind, now = Date.now()): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const random = pool.toString('hex', used, used + RANDOM_BYTES);
  used += RANDOM_BYTES;
  return `${kind}${now.toString(16).padStart(12, '0')}${random}`;
}

const ID =
  /^(batch_req_|batch_|file-|upload_|part_|req_|chatcmpl-|call_|evt_|we_|dlv_|trg_|win_|modr-|key_)([0-9a-f]{12})[0-9a-f]{20}$/;

/** True if `id` has the form `newId(kind)` gives. Anything else cannot exist, and must never reach a bucket key. */
export function isId(kind: IdKind, id: string): boolean {
  return ID.exec(id)?.[1] === kind;
}

/** Creation time of an id in Unix milliseconds, or `null` if it is none of ours. */
export function idTime(id: string): number | null {
  const hex = ID.exec(id)?.[2];
  return hex === undefined ? null : Number.parseInt(hex, 16);
}
