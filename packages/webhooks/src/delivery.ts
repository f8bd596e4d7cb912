import { readFact } from '@batchmill/batch';
import { type Bucket, layout } from '@batchmill/bucket';
import {
  isId,
  type Page,
  page,
  WebhookAttempt,
  type WebhookDeliveryObject,
  WebhookEventType,
} from '@batchmill/contract';
import { z } from 'zod';

/** One event on its way to one endpoint. Times in Unix seconds where nothing else is said. */
export const DeliveryFact = z.object({
  id: z.string(),
  endpoint_id: z.string(),
  event_id: z.string(),
  event_type: WebhookEventType,
  batch_id: z.string().nullable(),
  created_at: z.number(),
  /** What waits for what: in one lane, the next delivery begins when the one before is settled. */
  lane: z.string(),
  /** Its place in the lane. */
  order: z.string(),
});
export type DeliveryFact = z.infer<typeof DeliveryFact>;

/** One attempt, with when the next one follows. */
export const AttemptFact = WebhookAttempt.extend({
  /** Unix milliseconds; `null`: none. */
  next_at: z.number().nullable(),
});
export type AttemptFact = z.infer<typeof AttemptFact>;

export const SettledFact = z.object({ status: z.enum(['delivered', 'failed']), at: z.number() });
export type SettledFact = z.infer<typeof SettledFact>;

export interface DeliveryState {
  delivery: DeliveryFact;
  /** How many attempts there were. */
  attempts: number;
  /** The last of them. */
  last: AttemptFact | null;
  settled: SettledFact | null;
}

/** Where a delivery stands, or `null` if there is none. */
export async function readDelivery(
  bucket: Bucket,
  tenant: string,
  endpoint: string,
  id: string,
): Promise<DeliveryState | null> {
  if (!isId('dlv_', id) || !isId('we_', endpoint)) return null;
  const keys: string[] = [];
  for await (const { key } of bucket.list(layout.hook.attempts(tenant, endpoint, id))) keys.push(key);
  const lastKey = keys.at(-1);
  const [delivery, settled, last] = await Promise.all([
    readFact(bucket, layout.hook.delivery(tenant, endpoint, id), DeliveryFact),
    readFact(bucket, layout.hook.settled(tenant, endpoint, id), SettledFact),
    lastKey === undefined ? null : readFact(bucket, lastKey, AttemptFact),
  ]);
  return delivery === null ? null : { delivery, attempts: keys.length, last, settled };
}

/** A delivery as clients see it, or `null` if there is none. */
export async function viewDelivery(
  bucket: Bucket,
  tenant: string,
  endpoint: string,
  id: string,
): Promise<WebhookDeliveryObject | null> {
  const state = await readDelivery(bucket, tenant, endpoint, id);
  if (state === null) return null;
  const { delivery, settled } = state;
  const read = Array.from({ length: state.attempts }, (_, n) =>
    readFact(bucket, layout.hook.attempt(tenant, endpoint, id, n), AttemptFact),
  );
  const attempts = (await Promise.all(read)).filter((attempt) => attempt !== null);
  const last = attempts.at(-1);
  const nextMs = last === undefined ? delivery.created_at * 1000 : last.next_at;
  return {
    id,
    object: 'webhook_endpoint.delivery',
    endpoint_id: endpoint,
    event_id: delivery.event_id,
    event_type: delivery.event_type,
    batch_id: delivery.batch_id,
    created_at: delivery.created_at,
    status: settled?.status ?? 'pending',
    response_code: last?.response_code ?? null,
    duration_ms: last?.duration_ms ?? null,
    attempts: attempts.map(({ next_at: _, ...attempt }) => attempt),
    next_attempt_at: settled !== null || nextMs === null ? null : Math.floor(nextMs / 1000),
  };
}

/** Deliveries to an endpoint by the time of their events, the newest first, from the one after `after`. */
export async function listDeliveries(
  bucket: Bucket,
  tenant: string,
  endpoint: string,
  options: { after?: string; limit: number },
): Promise<Page<WebhookDeliveryObject>> {
  const ids: string[] = [];
  for await (const id of deliveryIds(bucket, tenant, endpoint, options.after)) {
    ids.push(id);
    if (ids.length > options.limit) break;
  }
  const views = await Promise.all(ids.slice(0, options.limit).map((id) => viewDelivery(bucket, tenant, endpoint, id)));
  return page(
    views.filter((view) => view !== null),
    ids.length > options.limit,
  );
}

/** Ids of an endpoint's deliveries, the newest first. Stop iterating to stop reading. */
export async function* deliveryIds(
  bucket: Bucket,
  tenant: string,
  endpoint: string,
  after?: string,
): AsyncGenerator<string> {
  // `settled.json` is a delivery's last key, there or not.
  const from = after === undefined ? {} : { after: layout.hook.settled(tenant, endpoint, after) };
  for await (const { key } of bucket.list(layout.hook.deliveries(tenant, endpoint), from)) {
    const id = /-(dlv_[0-9a-f]{32})\/delivery\.json$/.exec(key)?.[1];
    if (id !== undefined) yield id;
  }
}
