import { randomBytes } from 'node:crypto';
import type { BatchDeps } from '@batchmill/batch';
import { layout, type WindowPlace } from '@batchmill/bucket';
import { newId, RequestError } from '@batchmill/contract';
import { closedOf, closeWindow, type InboxLine, inboxLine, inboxOf, Window, windowsOf } from './window.ts';

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
  onError: (error: unknown, trigger: string) => void;
}

interface Waiting {
  line: InboxLine;
  bytes: number;
  accept(accepted: Accepted): void;
  refuse(error: unknown): void;
}

/** Keys remembered for each trigger: at 100 bytes each, some 20 MB. */
const MOST_REMEMBERED = 200_000;

/**
 * Gathers events into windows and windows into batches. An event is durable before it is acknowledged: it is in the bucket, in
 * an inbox that either this process or, if it dies, the control worker's sweep makes a batch of.
 */
export class Gatherer {
  readonly #options: Required<GathererOptions>;
  readonly #triggers = new Map<string, Promise<Gathering>>();
  readonly #writer = randomBytes(6).toString('hex');
  #waiting = 0;
  #waitingBytes = 0;
  #closed = false;

  constructor(options: GathererOptions) {
    this.#options = { mostWaiting: 5_000, mostWaitingBytes: 64 * 2 ** 20, gatherMs: 5, ...options };
  }

  /**
   * Takes the events of one delivery, all or none.
   * @throws RequestError 429 with `retry-after` if too many wait; BucketUnavailableError: then none is acknowledged, and the
   * sender may send them again.
   */
  async add(trigger: GatherTrigger, events: readonly GatherEvent[]): Promise<Accepted[]> {
    const lines = events.map(({ key, item }) => inboxLine(key, item));
    const bytes = lines.reduce((sum, { line }) => sum + line.length, 0);
    const full = this.#waiting + lines.length > this.#options.mostWaiting;
    if (this.#closed || full || this.#waitingBytes + bytes > this.#options.mostWaitingBytes)
      throw new RequestError(429, 'Too many events are waiting to be stored. Send this one again in a moment.', {
        code: 'too_many_events',
      });
    this.#waiting += lines.length;
    this.#waitingBytes += bytes;
    try {
      const gathering = await this.#of(trigger);
      return await Promise.all(lines.map((line) => gathering.add(trigger, line)));
    } finally {
      this.#waiting -= lines.length;
      this.#waitingBytes -= bytes;
    }
  }

  /** Closes every window of this process. Events that come meanwhile are refused. */
  async close(): Promise<void> {
    this.#closed = true;
    const all = await Promise.allSettled(this.#triggers.values());
    await Promise.all(all.map((one) => (one.status === 'fulfilled' ? one.value.end() : undefined)));
  }

  #of(trigger: GatherTrigger): Promise<Gathering> {
    const there = this.#triggers.get(trigger.id);
    if (there !== undefined) return there;
    const made = Gathering.open(this.#options, trigger, this.#writer);
    this.#triggers.set(trigger.id, made);
    made.catch(() => this.#triggers.delete(trigger.id));
    return made;
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
  /** Item → its batch: what came before, here or in an earlier process, oldest first. */
  readonly #known: Map<string, string>;
  readonly #underWay = new Map<string, Promise<Accepted>>();
  #pending: Waiting[] = [];
  #timer: NodeJS.Timeout | null = null;
  #open: OpenWindow | null = null;
  #sequence = 0;
  /** Writes and closings, one after the other: a window is not closed under a write of ours. */
  #work: Promise<void> = Promise.resolve();

  private constructor(options: Required<GathererOptions>, writer: string, known: Map<string, string>) {
    this.#options = options;
    this.#writer = writer;
    this.#known = known;
  }

  static async open(options: Required<GathererOptions>, trigger: GatherTrigger, writer: string): Promise<Gathering> {
    const { bucket } = options.batch;
    const known = new Map<string, string>();
    for (const at of await windowsOf(bucket, trigger.tenant, trigger.id)) {
      const bytes = await bucket.get(layout.window.window(at));
      if (bytes === null) continue;
      const { batch_id: batchId } = Window.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
      const ids = [...(await inboxOf(bucket, at)), ...((await closedOf(bucket, at))?.items ?? [])];
      for (const id of ids) if (!known.has(id)) known.set(id, batchId);
    }
    return new Gathering(options, writer, known);
  }

  async add(trigger: GatherTrigger, line: InboxLine): Promise<Accepted> {
    const batchId = this.#known.get(line.id);
    if (batchId !== undefined) return { batch_id: batchId, item_id: line.id, duplicate: true };
    const underWay = this.#underWay.get(line.id);
    if (underWay !== undefined) return { ...(await underWay), duplicate: true };
    const stored = new Promise<Accepted>((accept, refuse) => {
      this.#pending.push({ line, bytes: Buffer.byteLength(line.line) + 1, accept, refuse });
    });
    this.#underWay.set(line.id, stored);
    stored.catch(() => {}).finally(() => this.#underWay.delete(line.id));
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#do(() => this.#write(trigger));
    }, this.#options.gatherMs);
    return stored;
  }

  async end(): Promise<void> {
    this.#do(() => this.#shut());
    await this.#work;
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
    for (const { line, accept } of share) {
      this.#remember(line.id, open.window.batch_id);
      accept({ batch_id: open.window.batch_id, item_id: line.id, duplicate: false });
    }
    return true;
  }

  #remember(id: string, batchId: string): void {
    this.#known.set(id, batchId);
    const oldest = this.#known.keys().next();
    if (this.#known.size > MOST_REMEMBERED && !oldest.done) this.#known.delete(oldest.value);
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
    await bucket.put(layout.window.window(at), JSON.stringify(window));
    await bucket.put(layout.window.open(window.deadline, at), '');
    const timer = setTimeout(() => {
      if (this.#open?.at.window === at.window) this.#do(() => this.#shut());
    }, trigger.maxWaitSeconds * 1000);
    return { at, window, items: 0, bytes: 0, timer };
  }

  /** Makes a batch of the open window. If that fails, the sweep of a control worker does it. */
  async #shut(): Promise<void> {
    const open = this.#open;
    if (open === null) return;
    this.#open = null;
    clearTimeout(open.timer);
    try {
      await closeWindow(this.#options.batch, open.at);
    } catch (error) {
      this.#options.onError(error, open.at.trigger);
    }
  }
}
