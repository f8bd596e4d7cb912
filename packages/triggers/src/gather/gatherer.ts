import { randomBytes } from 'node:crypto';
import { type BatchDeps, readFact } from '@batchmill/batch';
import { layout, type WindowPlace } from '@batchmill/bucket';
import { newId, RequestError } from '@batchmill/contract';
import { DAY_MS, Ledger } from './ledger.ts';
import { closeWindow, type InboxLine, inboxLine, inboxOf, openWindows, Window } from './window.ts';

/** What a gatherer needs to know of a trigger. */
export interface GatherTrigger {
  tenant: string;
  id: string;
  name: string;
  endpoint: string;
  completionWindow: string;
  /** Gives the hash of the stored policy its batches are judged by; asked when a window opens. */
  policy: () => Promise<string | null>;
  /** A window closes when it holds so many items, so many bytes, or after so many seconds. */
  maxItems: number;
  maxBytes: number;
  maxWaitSeconds: number;
}

/** Where an event went. */
export interface Accepted {
  batch_id: string;
  /** The `custom_id` of its line. */
  item_id: string;
  /** It had come before: nothing was added. */
  duplicate: boolean;
}

export interface GatherEvent {
  key: string;
  item: { url: string; body: Record<string, unknown> };
}

export interface GathererOptions {
  batch: BatchDeps;
  /** Events that wait for the bucket in this process; beyond it 429. Default 5,000. */
  mostWaiting?: number;
  /** Their bytes. Default 64 MiB. */
  mostWaitingBytes?: number;
  /** Events that come within so long are written as one object. Default 5 ms. */
  gatherMs?: number;
  /** A trigger's events are written so often at most: each object is read and removed again when its window closes. Default 25 ms. */
  writeEveryMs?: number;
  onError: (error: unknown, trigger: string) => void;
}

interface Waiting {
  line: InboxLine;
  bytes: number;
  accept(accepted: Accepted): void;
  refuse(error: unknown): void;
}

/** Triggers held ready; of more, those that have nothing open are let go, and read again when events come. */
const MOST_TRIGGERS = 200;
/** Windows of a trigger that are being closed while events go on coming into the next one; beyond it events wait. */
const MOST_CLOSINGS = 4;

/**
 * Gathers events into windows and windows into batches. An event is durable before it is acknowledged: it is in the bucket, in
 * an inbox that either this process or, if it dies, the control worker's sweep makes a batch of.
 */
export class Gatherer {
  readonly #options: Required<GathererOptions>;
  /** The least lately used first. */
  readonly #triggers = new Map<string, { opened: Promise<Gathering>; gathering: Gathering | null }>();
  readonly #writer = randomBytes(6).toString('hex');
  #waiting = 0;
  #waitingBytes = 0;
  #closed = false;

  constructor(options: GathererOptions) {
    this.#options = { mostWaiting: 5_000, mostWaitingBytes: 64 * 2 ** 20, gatherMs: 5, writeEveryMs: 25, ...options };
  }

  /**
   * Takes the events of one delivery, all or none.
   * @throws RequestError 429 with `retry-after` if too many wait; BucketUnavailableError: then none is acknowledged, and the
   * sender may send them again.
   */
  async add(trigger: GatherTrigger, events: readonly GatherEvent[]): Promise<Accepted[]> {
    const lines = events.map(({ key, item }) => inboxLine(key, item));
    const bytes = lines.reduce((sum, { line }) => sum + Buffer.byteLength(line), 0);
    // What alone is more than may wait is taken when nothing waits: it could never be taken otherwise.
    const full =
      this.#waiting + lines.length > this.#options.mostWaiting ||
      this.#waitingBytes + bytes > this.#options.mostWaitingBytes;
    if (this.#closed || (full && this.#waiting > 0))
      throw new RequestError(429, 'Too many events are waiting to be stored. Send this one again in a moment.', {
        code: 'too_many_events',
      });
    this.#waiting += lines.length;
    this.#waitingBytes += bytes;
    try {
      const gathering = await this.#of(trigger);
      const outcomes = await Promise.allSettled(lines.map((line) => gathering.add(trigger, line)));
      const failed = outcomes.find((outcome) => outcome.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
      return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    } finally {
      this.#waiting -= lines.length;
      this.#waitingBytes -= bytes;
    }
  }

  /** Closes every window of this process. Events that come meanwhile are refused. */
  async close(): Promise<void> {
    this.#closed = true;
    const all = await Promise.allSettled([...this.#triggers.values()].map(({ opened }) => opened));
    await Promise.all(all.map((one) => (one.status === 'fulfilled' ? one.value.end() : undefined)));
  }

  #of(trigger: GatherTrigger): Promise<Gathering> {
    const there = this.#triggers.get(trigger.id);
    this.#triggers.delete(trigger.id);
    if (there !== undefined) {
      this.#triggers.set(trigger.id, there);
      return there.opened;
    }
    for (const [id, { gathering }] of this.#triggers) {
      if (this.#triggers.size < MOST_TRIGGERS) break;
      if (gathering?.idle) this.#triggers.delete(id);
    }
    const opened = Gathering.open(this.#options, trigger, this.#writer);
    const entry: { opened: Promise<Gathering>; gathering: Gathering | null } = { opened, gathering: null };
    this.#triggers.set(trigger.id, entry);
    opened.then(
      (gathering) => {
        entry.gathering = gathering;
      },
      () => this.#triggers.delete(trigger.id),
    );
    return opened;
  }
}

interface OpenWindow {
  at: WindowPlace;
  window: Window;
  items: number;
  bytes: number;
  timer: NodeJS.Timeout;
}

/** One trigger's events in this process. */
class Gathering {
  readonly #options: Required<GathererOptions>;
  readonly #writer: string;
  readonly #ledger: Ledger;
  /** What is in windows that are not closed, here and, as it was when this began, elsewhere: window → item → batch. */
  readonly #acknowledged: Map<string, Map<string, string>>;
  readonly #underWay = new Map<string, Promise<Accepted>>();
  #pending: Waiting[] = [];
  #timer: NodeJS.Timeout | null = null;
  /** When the last write was begun, by `performance.now()`. */
  #written = 0;
  #open: OpenWindow | null = null;
  #sequence = 0;
  /** The day that the index has this trigger under. */
  #indexed = -1;
  /** Writes, one after the other: a window is not let go under a write of ours. */
  #work: Promise<void> = Promise.resolve();
  readonly #closings = new Set<Promise<void>>();

  private constructor(
    options: Required<GathererOptions>,
    writer: string,
    ledger: Ledger,
    acknowledged: Map<string, Map<string, string>>,
  ) {
    this.#options = options;
    this.#writer = writer;
    this.#ledger = ledger;
    this.#acknowledged = acknowledged;
  }

  static async open(options: Required<GathererOptions>, trigger: GatherTrigger, writer: string): Promise<Gathering> {
    const { bucket } = options.batch;
    const acknowledged = new Map<string, Map<string, string>>();
    const ledger = new Ledger(bucket, trigger.tenant, trigger.id);
    for (const at of await openWindows(bucket, trigger.tenant, trigger.id)) {
      const window = await readFact(bucket, layout.window.window(at), Window);
      if (window === null) continue;
      const items = await inboxOf(bucket, at);
      // In this order: what was in the inbox before the fence will be delivered. Of a window behind its fence only the
      // ledger knows what counts, so its closing is brought to its end.
      if ((await bucket.head(layout.window.closing(at))) !== null) await closeWindow(options.batch, ledger, at);
      else acknowledged.set(at.window, new Map([...items].map((id) => [id, window.batch_id])));
    }
    await ledger.refresh();
    return new Gathering(options, writer, ledger, acknowledged);
  }

  /** Nothing is open or under way. */
  get idle(): boolean {
    return this.#open === null && this.#underWay.size === 0 && this.#closings.size === 0;
  }

  async add(trigger: GatherTrigger, line: InboxLine): Promise<Accepted> {
    const batchId = this.#batchOf(line.id);
    if (batchId !== undefined) return { batch_id: batchId, item_id: line.id, duplicate: true };
    const underWay = this.#underWay.get(line.id);
    if (underWay !== undefined) return { ...(await underWay), duplicate: true };
    const stored = new Promise<Accepted>((accept, refuse) => {
      this.#pending.push({ line, bytes: Buffer.byteLength(line.line) + 1, accept, refuse });
    });
    this.#underWay.set(line.id, stored);
    stored.catch(() => {}).finally(() => this.#underWay.delete(line.id));
    this.#timer ??= setTimeout(
      () => {
        this.#timer = null;
        this.#written = performance.now();
        this.#do(() => this.#write(trigger));
      },
      Math.max(this.#options.gatherMs, this.#written + this.#options.writeEveryMs - performance.now()),
    );
    return stored;
  }

  /** Writes what waits, and closes what is open. */
  async end(): Promise<void> {
    await Promise.allSettled(this.#underWay.values());
    this.#do(() => this.#shut());
    await this.#work;
    await Promise.all(this.#closings);
  }

  #batchOf(item: string): string | undefined {
    const delivered = this.#ledger.batchOf(item);
    if (delivered !== undefined) return delivered;
    for (const items of this.#acknowledged.values()) {
      const batchId = items.get(item);
      if (batchId !== undefined) return batchId;
    }
    return undefined;
  }

  #do(work: () => Promise<void>): void {
    this.#work = this.#work.then(work);
  }

  /** Writes what is pending, each window's share as one object, and acknowledges it. */
  async #write(trigger: GatherTrigger): Promise<void> {
    const pending = this.#pending;
    this.#pending = [];
    try {
      while (pending.length > 0) {
        const open = this.#open ?? (await this.#openWindow(trigger));
        this.#open = open;
        const share: Waiting[] = [];
        for (let next = pending[0]; next !== undefined; next = pending[0]) {
          const full = open.items >= trigger.maxItems || open.bytes + next.bytes > trigger.maxBytes;
          if (full && open.items > 0) break;
          share.push(next);
          pending.shift();
          open.items++;
          open.bytes += next.bytes;
        }
        const stored = share.length === 0 || (await this.#store(open, share));
        if (!stored) pending.unshift(...share);
        if (!stored || open.items >= trigger.maxItems || pending.length > 0) await this.#shut();
      }
    } catch (error) {
      for (const waiting of pending) waiting.refuse(error);
    }
  }

  /** `false`: somebody is closing the window already, so that nobody may ever read what was written. Then nothing is acknowledged. */
  async #store(open: OpenWindow, share: readonly Waiting[]): Promise<boolean> {
    const { bucket } = this.#options.batch;
    try {
      const key = layout.window.inbox(open.at, this.#writer, this.#sequence++);
      await bucket.put(key, share.map(({ line }) => `${line.line}\n`).join(''));
      if ((await bucket.head(layout.window.closing(open.at))) !== null) return false;
    } catch (error) {
      for (const waiting of share) waiting.refuse(error);
      return true;
    }
    const items = this.#acknowledged.get(open.at.window);
    for (const { line, accept } of share) {
      items?.set(line.id, open.window.batch_id);
      accept({ batch_id: open.window.batch_id, item_id: line.id, duplicate: false });
    }
    return true;
  }

  async #openWindow(trigger: GatherTrigger): Promise<OpenWindow> {
    const { bucket } = this.#options.batch;
    const at = { tenant: trigger.tenant, trigger: trigger.id, window: newId('win_') };
    const window: Window = {
      batch_id: newId('batch_'),
      file_id: newId('file-'),
      endpoint: trigger.endpoint,
      completion_window: trigger.completionWindow,
      metadata: { trigger_id: trigger.id, trigger_name: trigger.name.slice(0, 512) },
      policy: await trigger.policy(),
      deadline: Math.ceil(Date.now() / 1000) + trigger.maxWaitSeconds,
    };
    const today = Math.floor(Date.now() / DAY_MS);
    if (today !== this.#indexed) await bucket.put(layout.ledger.used(today, trigger.tenant, trigger.id), '');
    this.#indexed = today;
    // The index first: of a window that is in it, a crash leaves nothing that the sweep does not find.
    await bucket.put(layout.window.open(window.deadline, at), '');
    await bucket.put(layout.window.window(at), JSON.stringify(window));
    const timer = setTimeout(() => {
      this.#do(async () => {
        if (this.#open?.at.window === at.window) await this.#shut();
      });
    }, trigger.maxWaitSeconds * 1000);
    this.#acknowledged.set(at.window, new Map());
    return { at, window, items: 0, bytes: 0, timer };
  }

  /** Lets the open window go, to become a batch while the next one fills. If that fails, the sweep of a control worker does it. */
  async #shut(): Promise<void> {
    const open = this.#open;
    if (open === null) return;
    this.#open = null;
    clearTimeout(open.timer);
    while (this.#closings.size >= MOST_CLOSINGS) await Promise.race(this.#closings);
    const closing = this.#close(open.at).finally(() => this.#closings.delete(closing));
    this.#closings.add(closing);
  }

  async #close(at: WindowPlace): Promise<void> {
    try {
      await closeWindow(this.#options.batch, this.#ledger, at);
      // Also of windows that others have closed: the ledger knows more of them now.
      for (const window of this.#acknowledged.keys())
        if (this.#ledger.entryOf(window) !== undefined) this.#acknowledged.delete(window);
    } catch (error) {
      this.#options.onError(error, at.trigger);
    }
  }
}
