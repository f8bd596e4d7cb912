import { type Bucket, layout } from '@batchmill/bucket';
import type { DeliverJob } from '@batchmill/queue';
import type { DeliveryFact } from './delivery.ts';
import { derivedId, type EventFact, type NewEvent, settleEvent } from './event.ts';
import { KEPT_DAYS, today } from './kept.ts';

export interface EmitDeps {
  bucket: Bucket;
  /** Asks for a lane to be looked at. May fail: the sweep finds what is due by itself. */
  trigger(job: DeliverJob): Promise<void>;
}

/**
 * Makes an event and what is due of it, for each endpoint. When this returns, all of it is in the bucket. Safe to run again
 * with the same event: what was settled meanwhile is not due again.
 *
 * @param rank Events of one batch are delivered by rank, and within a rank by time.
 */
export async function emit(
  deps: EmitDeps,
  tenant: string,
  event: NewEvent,
  endpoints: readonly string[],
  rank: number,
): Promise<void> {
  if (endpoints.length === 0) return;
  await deps.bucket.put(layout.hook.kept(today() + KEPT_DAYS, tenant, 'event', event.id), '');
  const fact = await settleEvent(deps.bucket, tenant, { ...event, endpoints: [...endpoints] });
  for (const endpoint of fact.endpoints) {
    const at = event.created_at * 1000;
    const id = derivedId('dlv_', at, fact.id, endpoint);
    await enqueue(deps, tenant, newDelivery(fact, { id, endpoint, lane: fact.batch_id ?? id, rank }));
  }
}

/** A delivery of an event to an endpoint, in a lane. */
export function newDelivery(
  event: EventFact,
  to: { id: string; endpoint: string; lane: string; rank: number },
): DeliveryFact {
  const time = (event.created_at * 1000).toString(16).padStart(12, '0');
  return {
    id: to.id,
    endpoint_id: to.endpoint,
    event_id: event.id,
    event_type: event.type,
    batch_id: event.batch_id,
    created_at: Math.floor(Date.now() / 1000),
    lane: to.lane,
    order: `${to.rank}${time}`,
  };
}

/** Makes a delivery due, unless it is settled already. */
export async function enqueue(deps: EmitDeps, tenant: string, delivery: DeliveryFact): Promise<void> {
  const { bucket } = deps;
  const { id, endpoint_id: endpoint, lane, order } = delivery;
  await bucket.put(layout.hook.kept(today() + KEPT_DAYS, tenant, 'delivery', id, endpoint), '');
  // Before the entry that makes it due: what is due can be read.
  const fresh = await bucket.create(layout.hook.delivery(tenant, endpoint, id), JSON.stringify(delivery));
  if (!fresh && (await bucket.head(layout.hook.settled(tenant, endpoint, id))) !== null) return;
  await bucket.put(layout.hook.due(tenant, endpoint, lane, order, id), '');
  await deps.trigger({ tenant, endpointId: endpoint, lane }).catch(() => {});
}
