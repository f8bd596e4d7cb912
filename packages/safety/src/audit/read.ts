import { hash } from 'node:crypto';
import { type Bucket, layout } from '@batchmill/bucket';
import { idTime } from '@batchmill/contract';
import { AuditRecord } from './record.ts';

/** Repeats come while a batch lives: 7 days at most, and one for what was in flight at its end. */
const REPEAT_DAYS = 8;
const DAY_MS = 86_400_000;

export interface AuditQuery {
  tenant?: string;
  /** First and last day, `2026-11-25`. */
  from?: string;
  to?: string;
  batchId?: string;
}

/**
 * The audit log, tenant by tenant, day by day, and within a day in the order in which it was written. Repeats, which a crash can
 * leave, are given once: records that differ in nothing but time and score. An item that was done again and got another answer
 * keeps the records of both, since both were withheld. Memory holds one object, and a short hash for each record of 8 days of a tenant.
 */
export async function* readAudit(bucket: Bucket, query: AuditQuery = {}): AsyncGenerator<AuditRecord> {
  const { tenant, batchId } = query;
  // Nothing is said of a batch before it is there.
  const created = batchId === undefined ? null : idTime(batchId);
  const from = [query.from ?? '', created === null ? '' : dayOf(created)].sort().at(-1) ?? '';
  const to = query.to ?? '9999-12-31';
  const prefix = tenant === undefined ? layout.audit.prefix : layout.audit.ofTenant(tenant);
  // A day begins in its folder, whose name is greater than the day alone.
  const after = tenant === undefined || from === '' ? {} : { after: `${prefix}${from}` };
  let seen = new Repeats();
  let of = '';
  for await (const { key } of bucket.list(prefix, after)) {
    const [, owner = '', day = ''] = key.split('/');
    if (day > to && tenant !== undefined) return;
    if (day < from || day > to) continue;
    if (owner !== of) seen = new Repeats();
    of = owner;
    for (const record of await recordsOf(bucket, key))
      if ((batchId === undefined || record.batch_id === batchId) && seen.add(day, record)) yield record;
  }
}

/** Deletes the days before one, `2026-11-25`. Nothing does so by itself: how long it is kept is the operator's law. */
export async function pruneAudit(bucket: Bucket, before: string): Promise<number> {
  let deleted = 0;
  for await (const { key } of bucket.list(layout.audit.prefix)) {
    if ((key.split('/')[2] ?? '') >= before) continue;
    await bucket.delete(key);
    deleted++;
  }
  return deleted;
}

/** @throws Error that names the object if it is damaged: a log with a hole must not be taken for a whole one. */
async function recordsOf(bucket: Bucket, key: string): Promise<AuditRecord[]> {
  const bytes = await bucket.get(key);
  // Pruned since it was listed.
  if (bytes === null) return [];
  try {
    const lines = Buffer.from(bytes).toString('utf8').trimEnd().split('\n');
    return lines.map((line) => AuditRecord.parse(JSON.parse(line)));
  } catch (error) {
    throw new Error(`${key} is damaged: it is no part of an audit log`, { cause: error });
  }
}

/** The records of the last days, as hashes. */
class Repeats {
  readonly #days = new Map<string, Set<string>>();

  /** `false` if there was the same one. Days must not go back. */
  add(day: string, { at: _, score: __, ...same }: AuditRecord): boolean {
    const key = hash('sha256', JSON.stringify(same), 'base64url').slice(0, 22);
    let today = this.#days.get(day);
    if (today === undefined) {
      const oldest = dayOf(Date.parse(day) - REPEAT_DAYS * DAY_MS);
      for (const old of this.#days.keys()) if (old < oldest) this.#days.delete(old);
      today = new Set();
      this.#days.set(day, today);
    }
    for (const keys of this.#days.values()) if (keys.has(key)) return false;
    today.add(key);
    return true;
  }
}

const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10);
