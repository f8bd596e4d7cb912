import { type Bucket, layout } from '@batchmill/bucket';
import { inOrder } from '@batchmill/files';
import { z } from 'zod';

/** A closed window, and the items its batch has, by `custom_id`; no batch if all of them had been delivered before. */
export const LedgerEntry = z.strictObject({
  window: z.string(),
  batch_id: z.string().nullable(),
  items: z.array(z.string()),
  /** Unix milliseconds. */
  at: z.number(),
});
export type LedgerEntry = z.infer<typeof LedgerEntry>;

/** An event that comes again is known for so long, */
export const REMEMBERED_MS = 24 * 60 * 60 * 1000;
/** and until so many others of its trigger came: at some 100 bytes each, 20 MB. */
export const MOST_REMEMBERED = 200_000;
const READS = 16;
export const DAY_MS = 86_400_000;

/**
 * The closed windows of one trigger, in the order they were closed. Entry n+1 is written on condition that nobody has written
 * it, by who has read the n before it. So all who close windows agree which one an event that came twice belongs to: the
 * first in the ledger. One of these reads an entry once, and remembers.
 */
export class Ledger {
  readonly #bucket: Bucket;
  readonly #tenant: string;
  readonly #trigger: string;
  /** Item → its batch, oldest first. */
  readonly #delivered = new Map<string, string>();
  readonly #closed = new Map<string, LedgerEntry>();
  #last = -1;
  #settling: Promise<unknown> = Promise.resolve();

  constructor(bucket: Bucket, tenant: string, trigger: string) {
    this.#bucket = bucket;
    this.#tenant = tenant;
    this.#trigger = trigger;
  }

  /** Reads what was written since the last time. */
  async refresh(): Promise<void> {
    const prefix = layout.ledger.prefix(this.#tenant, this.#trigger);
    const after = this.#last < 0 ? {} : { after: layout.ledger.entry(this.#tenant, this.#trigger, this.#last) };
    const keys: string[] = [];
    for await (const { key } of this.#bucket.list(prefix, after)) keys.push(key);
    const last = keys.at(-1);
    if (last === undefined) return;
    const found: LedgerEntry[] = [];
    let items = 0;
    // Backwards: of a long ledger only what is remembered is read.
    for await (const entry of inOrder(backwards(keys), READS, (key) => this.#read(key))) {
      if (entry === null) continue;
      found.push(entry);
      items += entry.items.length;
      if (items >= MOST_REMEMBERED || entry.at < Date.now() - REMEMBERED_MS) break;
    }
    for (const entry of found.reverse()) this.#take(entry);
    this.#last = Number(/(\d+)\.json$/.exec(last)?.[1]);
  }

  /** The batch an item was delivered in, as far as was read. */
  batchOf(item: string): string | undefined {
    return this.#delivered.get(item);
  }

  /** The entry of a window, if it was closed, as far as was read. */
  entryOf(window: string): LedgerEntry | undefined {
    return this.#closed.get(window);
  }

  /** Closes a window: of its items those count that no other window has delivered. What was settled before stands. */
  settle(window: string, batchId: string, items: Iterable<string>): Promise<LedgerEntry> {
    const settled = this.#settling.catch(() => {}).then(() => this.#settle(window, batchId, items));
    this.#settling = settled;
    return settled;
  }

  async #settle(window: string, batchId: string, items: Iterable<string>): Promise<LedgerEntry> {
    for (;;) {
      await this.refresh();
      const there = this.#closed.get(window);
      if (there !== undefined) return there;
      const own = [...items].filter((id) => !this.#delivered.has(id));
      const entry = { window, batch_id: own.length === 0 ? null : batchId, items: own, at: Date.now() };
      const key = layout.ledger.entry(this.#tenant, this.#trigger, this.#last + 1);
      if (!(await this.#bucket.create(key, JSON.stringify(entry)))) continue;
      this.#take(entry);
      this.#last++;
      return entry;
    }
  }

  async #read(key: string): Promise<LedgerEntry | null> {
    const bytes = await this.#bucket.get(key);
    return bytes === null ? null : LedgerEntry.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  }

  #take(entry: LedgerEntry): void {
    this.#closed.set(entry.window, entry);
    if (entry.batch_id !== null) for (const id of entry.items) this.#delivered.set(id, entry.batch_id);
    for (const [window, { at, items }] of this.#closed) {
      const much = this.#delivered.size > MOST_REMEMBERED;
      if (window === entry.window || (!much && at > Date.now() - REMEMBERED_MS)) break;
      this.#closed.delete(window);
      for (const id of items) this.#delivered.delete(id);
    }
  }
}

async function* backwards(keys: readonly string[]): AsyncGenerator<string> {
  yield* keys.toReversed();
}
