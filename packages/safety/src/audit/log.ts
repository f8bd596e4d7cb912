import { randomBytes } from 'node:crypto';
import { type Bucket, layout } from '@batchmill/bucket';
import { persist } from './persist.ts';
import type { AuditRecord } from './record.ts';

/** Items wait for it, so it is short. */
const GATHER_MS = 200;
/** Records of one object. */
const MOST = 5_000;

export interface AuditLogOptions {
  /** Records that come within so long are written as one object, in milliseconds. Default: 200. */
  gatherMs?: number;
  /** Between tries while the bucket is away, in milliseconds. Default: about 45 s in all. */
  pausesMs?: readonly number[];
}

/** An object that is being gathered. */
interface Gathering {
  lines: string[];
  timer: NodeJS.Timeout;
  stored: PromiseWithResolvers<void>;
}

/**
 * Appends to the audit log: objects that are written once, one folder for each tenant and day. `write` resolves when its
 * records are in the bucket, so that whoever writes an item's result afterwards can never have a withheld item without its
 * record. A crash in between leaves a record of an item that is done again and has another: readers fold those.
 */
export class AuditLog {
  readonly #bucket: Bucket;
  readonly #options: AuditLogOptions;
  readonly #writer = randomBytes(6).toString('hex');
  /** By `<tenant>/<day>`. Each is stored, and fails, for itself. */
  readonly #gathering = new Map<string, Gathering>();
  #sequence = 0;

  constructor(bucket: Bucket, options: AuditLogOptions = {}) {
    this.#bucket = bucket;
    this.#options = options;
  }

  /** @throws BucketUnavailableError: then the item must not be delivered yet. */
  async write(records: readonly AuditRecord[]): Promise<void> {
    const objects = new Set<Gathering>();
    for (const record of records) {
      const place = `${record.tenant}/${record.at.slice(0, 10)}`;
      const object = this.#gathering.get(place) ?? this.#begin(place);
      object.lines.push(`${JSON.stringify(record)}\n`);
      objects.add(object);
      if (object.lines.length === MOST) void this.#end(place, object);
    }
    await Promise.all([...objects].map(({ stored }) => stored.promise));
  }

  #begin(place: string): Gathering {
    const object: Gathering = {
      lines: [],
      timer: setTimeout(() => void this.#end(place, object), this.#options.gatherMs ?? GATHER_MS),
      stored: Promise.withResolvers(),
    };
    this.#gathering.set(place, object);
    return object;
  }

  async #end(place: string, { lines, timer, stored }: Gathering): Promise<void> {
    clearTimeout(timer);
    this.#gathering.delete(place);
    const [tenant = '', day = ''] = place.split('/');
    const key = layout.audit.part(tenant, day, Date.now(), this.#writer, this.#sequence++);
    try {
      // `create`, because nothing in the log is ever replaced. The name is no one else's: what is there already is this object,
      // stored by a try that seemed to fail.
      await persist(() => this.#bucket.create(key, lines.join('')), this.#options.pausesMs);
      stored.resolve();
    } catch (error) {
      stored.reject(error);
    }
  }
}
