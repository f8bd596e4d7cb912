import type { BatchDeps } from '@batchmill/batch';
import { type EventsAccepted, RequestError } from '@batchmill/contract';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { type GatherEvent, Gatherer } from './gather/gatherer.ts';
import type { RawEvent, Source } from './sources/port.ts';
import { openSource } from './sources/sources.ts';
import { type CompiledTemplate, compileTemplate, type EventFile } from './template/template.ts';
import { findTrigger, type TriggerFact } from './triggers/record.ts';

/** How long a change of a trigger may take to be in force. */
export const TRIGGER_CACHE_MS = 5_000;
/** Triggers held ready; ids that name none are remembered too, so that guessing costs the bucket nothing. */
const MOST_READY = 2_000;

export interface ReceiverOptions {
  batch: BatchDeps;
  /** Stores the policy a trigger's batches are judged by and gives its hash. */
  policy(tenant: string, chosen: string | null): Promise<string>;
  /** GETs a URL of Amazon's (a certificate, a subscription's confirmation) as text, without redirects. */
  fetchText(url: string): Promise<string>;
  onError(error: unknown, trigger: string): void;
}

/** A trigger whose events can be taken. */
export interface ReadyTrigger {
  fact: TriggerFact;
  source: Source;
  template: CompiledTemplate;
  limiter: RateLimiterMemory;
}

/** Takes events in: verifies, makes items, gathers. One for each API process. */
export class Receiver {
  readonly #options: ReceiverOptions;
  readonly #gatherer: Gatherer;
  readonly #ready = new Map<string, { until: number; trigger: Promise<ReadyTrigger | null> }>();

  constructor(options: ReceiverOptions) {
    this.#options = options;
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
    try {
      await ready.limiter.consume(id);
    } catch (error) {
      if (!(error instanceof RateLimiterRes)) throw error;
      throw new RequestError(429, 'This trigger gets more requests than it may. Send this one again in a moment.', {
        code: 'rate_limit_exceeded',
      });
    }
    return ready;
  }

  /**
   * Takes one delivery. When this returns, its events are in the bucket and become items, whatever happens to this process.
   * `files`: what came with it, stored already.
   * @throws RequestError 401, 400, 422 (the template fails on it), 429; BucketUnavailableError. Then nothing was taken.
   */
  async receive(
    { fact, source, template }: ReadyTrigger,
    raw: RawEvent,
    files: readonly EventFile[] = [],
  ): Promise<EventsAccepted> {
    const verified = await source.verify(raw);
    const answer: EventsAccepted = { object: 'events.accepted', trigger_id: fact.id, items: [], filtered: 0 };
    if ('confirm' in verified) {
      await this.#options.fetchText(verified.confirm);
      return answer;
    }
    const made = await Promise.all(
      verified.events.map(async (event) => ({ key: event.key, item: await template.itemOf(event, files) })),
    );
    const events = made.flatMap(({ key, item }): GatherEvent[] => (item === null ? [] : [{ key, item }]));
    if (events.length === 0) return { ...answer, filtered: made.length };
    const { limits } = fact;
    const items = await this.#gatherer.add(
      {
        tenant: fact.tenant,
        id: fact.id,
        name: fact.name,
        endpoint: template.url,
        completionWindow: fact.completion_window,
        policy: () => this.#options.policy(fact.tenant, fact.content_policy),
        maxItems: limits.max_items,
        maxBytes: limits.max_bytes,
        maxWaitSeconds: limits.max_wait_seconds,
      },
      events,
    );
    return { ...answer, items, filtered: made.length - events.length };
  }

  /** Makes batches of what is gathered. */
  async close(): Promise<void> {
    await this.#gatherer.close();
  }

  #find(id: string): Promise<ReadyTrigger | null> {
    const now = performance.now();
    const there = this.#ready.get(id);
    if (there !== undefined && there.until > now) return there.trigger;
    const trigger = this.#open(id);
    this.#ready.delete(id);
    this.#ready.set(id, { until: now + TRIGGER_CACHE_MS, trigger });
    trigger.catch(() => this.#ready.delete(id));
    const oldest = this.#ready.keys().next();
    if (this.#ready.size > MOST_READY && !oldest.done) this.#ready.delete(oldest.value);
    return trigger;
  }

  async #open(id: string): Promise<ReadyTrigger | null> {
    const fact = await findTrigger(this.#options.batch.bucket, id);
    if (fact === null) return null;
    return {
      fact,
      source: openSource(fact.source, this.#options.fetchText),
      template: await compileTemplate(fact.template),
      limiter: new RateLimiterMemory({ points: fact.limits.requests_per_second, duration: 1 }),
    };
  }
}
