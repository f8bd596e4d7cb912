import { randomBytes } from 'node:crypto';
import { type Bucket, layout } from '@batchmill/bucket';
import { AuditRecord } from './record.ts';

/** Records that come within so long are written as one object. */
const GATHER_MS = 50;
/** Records of one object. */
const MOST = 5_000;

interface Waiting {
  records: readonly AuditRecord[];
  stored(): void;
  failed(error: unknown): void;
}

/**
 * Appends to the audit log: objects that are written once, one folder for each tenant and day. `write` resolves when its
 * records are in the bucket, so that whoever writes an item's result afterwards can never have a withheld item without its
 * record. A crash in between leaves a record of an item that is done again and has another: readers fold those.
 */
export class AuditLog {
  readonly #bucket: Bucket;
  readonly #writer = randomBytes(6).toString('hex');
  #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | null = null;
  #sequence = 0;

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  /** @throws BucketUnavailableError: then the item must not be delivered yet. */
  write(records: readonly AuditRecord[]): Promise<void> {
    if (records.length === 0) return Promise.resolve();
    return new Promise((stored, failed) => {
      this.#waiting.push({ records, stored, failed });
      this.#timer ??= setTimeout(() => void this.#flush(), GATHER_MS);
    });
  }

  async #flush(): Promise<void> {
    this.#timer = null;
    const waiting = this.#waiting;
    this.#waiting = [];
    try {
      const all = waiting.flatMap(({ records }) => records);
      for (const [place, records] of Map.groupBy(all, ({ tenant, at }) => `${tenant}/${at.slice(0, 10)}`)) {
        const [tenant = '', day = ''] = place.split('/');
        for (let from = 0; from < records.length; from += MOST) {
          const part = records.slice(from, from + MOST).map((record) => `${JSON.stringify(record)}\n`);
          await this.#bucket.put(
            layout.audit.part(tenant, day, Date.now(), this.#writer, this.#sequence++),
            part.join(''),
          );
        }
      }
      for (const { stored } of waiting) stored();
    } catch (error) {
      for (const { failed } of waiting) failed(error);
    }
  }
}

export interface AuditQuery {
  tenant?: string;
  /** First and last day, `2026-11-25`. */
  from?: string;
  to?: string;
  batchId?: string;
}

/**
 * The audit log, by tenant and in the order of time. Repeats, which a crash can leave, are given once: the last one of each
 * finding of an item.
 */
export async function* readAudit(bucket: Bucket, query: AuditQuery = {}): AsyncGenerator<AuditRecord> {
  const { from = '', to = '9999-12-31', batchId } = query;
  const prefix = query.tenant === undefined ? layout.audit.prefix : layout.audit.ofTenant(query.tenant);
  let day = '';
  let records = new Map<string, AuditRecord>();
  for await (const { key } of bucket.list(prefix)) {
    const [, tenant, date = ''] = key.split('/');
    if (date < from || date > to) continue;
    if (`${tenant}/${date}` !== day) {
      yield* records.values();
      records = new Map();
      day = `${tenant}/${date}`;
    }
    const bytes = await bucket.get(key);
    if (bytes === null) continue;
    for (const line of Buffer.from(bytes).toString('utf8').trimEnd().split('\n')) {
      const record = AuditRecord.parse(JSON.parse(line));
      if (batchId !== undefined && record.batch_id !== batchId) continue;
      const { batch_id, position, segment, filter, category, label, action } = record;
      records.set(JSON.stringify([batch_id, position, segment, filter, category, label, action]), record);
    }
  }
  yield* records.values();
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
