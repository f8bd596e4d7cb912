import { isDeepStrictEqual } from 'node:util';
import type { BatchDeps } from '@batchmill/batch';
import { type EventsAccepted, RequestError } from '@batchmill/contract';
import { openRateLimit } from '@batchmill/queue';
import { type GatherEvent, Gatherer } from './gather/gatherer.ts';
import type { RawEvent, Source, VerifiedEvent } from './sources/port.ts';
import type { Secrets } from './sources/secrets.ts';
import { Certificates } from './sources/sns.ts';
import { openSource } from './sources/sources.ts';
import { type CompiledTemplate, compileTemplate, type EventFile, objectOfFile } from './template/template.ts';
import { findTrigger, secretsOf, type TriggerFact } from './triggers/record.ts';

/** How long a change of a trigger may take to be in force. */
export const TRIGGER_CACHE_MS = 5_000;
/** Looked at again before that, beside the events that come: none of them waits for it. */
const REFRESH_MS = 2_000;
/** Most bytes that the items of one request may have together. */
const MOST_BYTES = 16 * 2 ** 20;
/** Triggers held ready; ids that name none are remembered too, so that guessing costs the bucket nothing. */
const MOST_READY = 2_000;

export interface ReceiverOptions {
  batch: BatchDeps;
  /** Stores the policy a trigger's batches are judged by and gives its hash. */
  policy(tenant: string, chosen: string | null): Promise<string>;
  /** GETs a URL of Amazon's (a certificate, a subscription's confirmation) as text, without redirects. */
  fetchText(url: string): Promise<string>;
  onError(error: unknown, trigger: string): void;
  /** From what age on a trigger is looked at again beside the events that come, in milliseconds. Default 2,000. */
  refreshMs?: number;
}

/** Files that came with an event: in the bucket, and seen by nobody until they are published. */
export interface Upload {
  files: readonly EventFile[];
  /** Makes them files of the tenant, before an item that names them is stored. */
  publish(): Promise<void>;
  /** Removes them, published or not: no item came of them. */
  discard(): Promise<void>;
}

const NO_UPLOAD: Upload = { files: [], publish: async () => {}, discard: async () => {} };

/** A trigger whose events can be taken. */
export interface ReadyTrigger {
  fact: TriggerFact;
  source: Source;
  secrets: Secrets;
  template: CompiledTemplate;
}

/** Takes events in: verifies, makes items, gathers. One for each API process. */
export class Receiver {
  readonly #options: ReceiverOptions;
  readonly #gatherer: Gatherer;
  readonly #certificates: Certificates;
  readonly #ready = new Map<string, Known>();
  /** In memory: each API process takes as many. */
  readonly #rate = openRateLimit(null);

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.#certificates = new Certificates(options.fetchText);
    this.#gatherer = new Gatherer({ batch: options.batch, onError: options.onError });
  }

  /**
   * The trigger events are posted to, before their body is read.
   * @throws RequestError 404 if there is none, 429 with `retry-after` if it has had enough for now.
   */
  async trigger(id: string): Promise<ReadyTrigger> {
    const ready = await this.#find(id);
    if (ready === null || ready.fact.disabled)
      throw new RequestError(404, `There is no trigger '${id.slice(0, 64)}', or it is switched off.`, {
        code: 'trigger_not_found',
      });
    if ((await this.#rate.take(id, ready.fact.limits.requests_per_second)) > 0)
      throw new RequestError(429, 'This trigger gets more requests than it may. Send this one again in a moment.', {
        code: 'rate_limit_exceeded',
      });
    return ready;
  }

  /**
   * Takes one delivery. When this returns, its events are in the bucket and become items, whatever happens to this process.
   * Files that came with it are published or discarded.
   * @throws RequestError 401, 400, 422 (the template fails on it), 429; BucketUnavailableError. Then nothing was taken.
   */
  async receive(ready: ReadyTrigger, raw: RawEvent, upload: Upload = NO_UPLOAD): Promise<EventsAccepted> {
    const { fact } = ready;
    let events: GatherEvent[] = [];
    const answer: EventsAccepted = { object: 'events.accepted', trigger_id: fact.id, items: [], filtered: 0 };
    try {
      const made = await this.#itemsOf(ready, raw, upload.files);
      answer.filtered = made.filtered;
      events = made.events;
    } finally {
      if (events.length === 0) await upload.discard();
    }
    if (events.length === 0) return answer;
    await upload.publish();
    const { limits } = fact;
    const items = await this.#gatherer.add(
      {
        tenant: fact.tenant,
        id: fact.id,
        name: fact.name,
        endpoint: ready.template.url,
        completionWindow: fact.completion_window,
        policy: () => this.#options.policy(fact.tenant, fact.content_policy),
        maxItems: limits.max_items,
        maxBytes: limits.max_bytes,
        maxWaitSeconds: limits.max_wait_seconds,
      },
      events,
    );
    // The items that are there name the files that came first.
    if (items.every(({ duplicate }) => duplicate)) await upload.discard();
    return { ...answer, items };
  }

  async #itemsOf(
    { source, template }: ReadyTrigger,
    raw: RawEvent,
    files: readonly EventFile[],
  ): Promise<{ events: GatherEvent[]; filtered: number }> {
    const verified = await source.verify(raw);
    if ('confirm' in verified) {
      try {
        await this.#options.fetchText(verified.confirm);
      } catch (error) {
        throw new RequestError(503, 'The subscription could not be confirmed right now. Send this again.', {
          code: 'unavailable',
          cause: error,
        });
      }
      return { events: [], filtered: 0 };
    }
    const events: GatherEvent[] = [];
    let bytes = 0;
    for (const event of verified.events) {
      const item = await template.itemOf(withFile(event, files), files);
      if (item === null) continue;
      bytes += JSON.stringify(item.body).length;
      if (bytes > MOST_BYTES)
        throw new RequestError(
          413,
          `The items of one request may have ${MOST_BYTES} bytes at most. Send fewer events.`,
          {
            code: 'content_too_large',
          },
        );
      events.push({ key: event.key, item });
    }
    return { events, filtered: verified.events.length - events.length };
  }

  /** Makes batches of what is gathered. */
  async close(): Promise<void> {
    await this.#gatherer.close();
  }

  #find(id: string): Promise<ReadyTrigger | null> {
    const now = performance.now();
    const known = this.#ready.get(id);
    if (known !== undefined && now - known.since < TRIGGER_CACHE_MS) {
      if (now - known.since > (this.#options.refreshMs ?? REFRESH_MS) && !known.refreshing) {
        known.refreshing = true;
        void this.#open(id, known.trigger).then(
          (trigger) => this.#keep(id, { since: now, refreshing: false, trigger: Promise.resolve(trigger) }),
          // Looked at again when its time is over; then whoever asks is told.
          () => {},
        );
      }
      return known.trigger;
    }
    const trigger = this.#open(id, known?.trigger ?? Promise.resolve(null));
    this.#keep(id, { since: now, refreshing: false, trigger });
    trigger.catch(() => this.#ready.delete(id));
    return trigger;
  }

  #keep(id: string, known: Known): void {
    this.#ready.delete(id);
    this.#ready.set(id, known);
    const oldest = this.#ready.keys().next();
    if (this.#ready.size > MOST_READY && !oldest.done) this.#ready.delete(oldest.value);
  }

  /** As it stands now; `before` itself if nothing has changed. */
  async #open(id: string, before: Promise<ReadyTrigger | null>): Promise<ReadyTrigger | null> {
    const fact = await findTrigger(this.#options.batch.bucket, id);
    if (fact === null) return null;
    const last = await before.catch(() => null);
    if (last !== null && isDeepStrictEqual(last.fact, fact)) return last;
    const secrets = () => secretsOf(fact);
    return {
      fact,
      source: openSource(fact.source, secrets, this.#certificates),
      secrets,
      template: await compileTemplate(fact.tenant, fact.template),
    };
  }
}

interface Known {
  since: number;
  refreshing: boolean;
  trigger: Promise<ReadyTrigger | null>;
}

/** What a form brings is, for filters, the first of its files. */
function withFile(event: VerifiedEvent, files: readonly EventFile[]): VerifiedEvent {
  const [first] = files;
  return event.object !== null || first === undefined ? event : { ...event, object: objectOfFile(first) };
}
