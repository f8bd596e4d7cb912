import { type Bucket, layout, parseDue } from '@batchmill/bucket';
import type { DeliverJob } from '@batchmill/queue';
import { metrics } from '@batchmill/telemetry';
import { type AttemptFact, type DeliveryState, deliveryIds, readDelivery } from './delivery.ts';
import { type EmitDeps, emit } from './emit.ts';
import { type EndpointFact, listEndpoints, readEndpoint, revise } from './endpoint.ts';
import { derivedId, eventBody, readEvent } from './event.ts';
import type { OutputUrl } from './output-url.ts';
import type { Places } from './places.ts';
import { signedHeaders } from './secret.ts';
import type { Sender, Sent } from './send.ts';

/** At once, then after these, in milliseconds: 5 s, 5 min, 30 min, 2 h, 8 h, 24 h. */
export const SCHEDULE = [0, 5_000, 300_000, 1_800_000, 7_200_000, 28_800_000, 86_400_000] as const;

/** An endpoint to which so many deliveries in a row were given up is switched off. */
export const GIVEN_UP = 10;

export interface DeliverDeps extends EmitDeps {
  sender: Sender;
  /** Default `SCHEDULE`. */
  schedule?: readonly number[];
  /** Attempts at a time, so that a slow endpoint holds few places. */
  places: Places;
  outputUrl: OutputUrl;
}

const seconds = () => Math.floor(Date.now() / 1000);

/**
 * Sends what is due of one lane, in order: the next event goes when the one before is delivered or given up. May be called
 * at any time; an attempt that a crash cut off is made again with the same `webhook-id`, so a receiver that remembers ids sees each
 * event take effect once.
 * @returns milliseconds after which to look again, `null` if nothing is left.
 */
export async function deliverLane(deps: DeliverDeps, { tenant, endpointId, lane }: DeliverJob): Promise<number | null> {
  const { bucket } = deps;
  // A slow receiver's lanes wait outside, not in the places of the queue that others need too.
  const later = deps.places.enter(tenant, endpointId);
  if (later !== null) return later;
  try {
    for await (const { key } of bucket.list(layout.hook.dueOfLane(tenant, endpointId, lane))) {
      const due = parseDue(key);
      if (due === null) continue;
      const waits = await deliver(deps, tenant, endpointId, due.delivery);
      if (waits !== null) return waits;
      await bucket.delete(key);
    }
    return null;
  } finally {
    deps.places.leave(tenant, endpointId);
  }
}

/** One attempt, if it is time. `null`: settled. */
async function deliver(deps: DeliverDeps, tenant: string, endpointId: string, id: string): Promise<number | null> {
  const { bucket } = deps;
  const state = await readDelivery(bucket, tenant, endpointId, id);
  if (state === null || state.settled !== null) return null;
  // Taken by the receiver, before a crash: nothing is posted again.
  if (state.last?.error === null) {
    await settle(bucket, tenant, state, 'delivered');
    return null;
  }
  const waits = (state.last?.next_at ?? 0) - Date.now();
  if (waits > 0) return waits;
  const endpoint = await readEndpoint(bucket, tenant, endpointId);
  const event = await readEvent(bucket, tenant, state.delivery.event_id);
  if (endpoint === null || endpoint.disabled !== null || event === null) {
    await settle(bucket, tenant, state, 'failed');
    return null;
  }
  const at = Date.now();
  const body = await eventBody(deps.outputUrl, tenant, event);
  const sent = await deps.sender.post(endpoint.url, signedHeaders(endpoint.secrets, event.id, body, Date.now()), body);
  return recorded(deps, tenant, endpoint, state, sent, at);
}

async function recorded(
  deps: DeliverDeps,
  tenant: string,
  endpoint: EndpointFact,
  state: DeliveryState,
  sent: Sent,
  at: number,
): Promise<number | null> {
  const { bucket, schedule = SCHEDULE } = deps;
  const { delivery, attempts } = state;
  const outcome = sent.error === null ? 'taken' : sent.status === null ? 'unreachable' : 'refused';
  metrics.webhookAttempts.inc({ outcome });
  const gone = sent.status === 410;
  const pause = sent.error === null || gone ? undefined : schedule[attempts + 1];
  // A tenth more or less, so that what failed together does not come back together.
  const next = pause === undefined ? null : Date.now() + Math.round(pause * (0.9 + Math.random() * 0.2));
  const attempt: AttemptFact = {
    at: Math.floor(at / 1000),
    response_code: sent.status,
    response_body: sent.body,
    duration_ms: sent.durationMs,
    error: sent.error,
    next_at: next,
  };
  // Taken: another worker made the same attempt, and its word counts.
  await bucket.create(layout.hook.attempt(tenant, endpoint.id, delivery.id, attempts), JSON.stringify(attempt));
  if (sent.error === null) {
    await settle(bucket, tenant, state, 'delivered');
    return null;
  }
  if (next !== null) return Math.max(1, next - Date.now());
  // Switched off before the delivery is settled: a crash in between comes here again.
  if (gone) await disable(deps, tenant, endpoint, 'gone');
  else if (await keepsFailing(bucket, tenant, endpoint)) await disable(deps, tenant, endpoint, 'failing');
  await settle(bucket, tenant, state, 'failed');
  return null;
}

async function settle(
  bucket: Bucket,
  tenant: string,
  { delivery }: DeliveryState,
  status: 'delivered' | 'failed',
): Promise<void> {
  const settled = layout.hook.settled(tenant, delivery.endpoint_id, delivery.id);
  if (await bucket.create(settled, JSON.stringify({ status, at: seconds() })))
    metrics.webhooks.inc({ outcome: status });
}

/** Deliveries looked at, at most, to tell whether an endpoint keeps failing. */
const MOST_LOOKED = 200;

/** Whether with this one the last deliveries, since it was switched on, were all given up. */
async function keepsFailing(bucket: Bucket, tenant: string, endpoint: EndpointFact): Promise<boolean> {
  let failed = 1;
  let looked = 0;
  for await (const id of deliveryIds(bucket, tenant, endpoint.id)) {
    if (failed >= GIVEN_UP) return true;
    if (++looked > MOST_LOOKED) return false;
    const state = await readDelivery(bucket, tenant, endpoint.id, id);
    if (state?.settled == null) continue;
    if (state.settled.status === 'delivered' || state.settled.at < (endpoint.enabled_at ?? 0)) return false;
    failed++;
  }
  return failed >= GIVEN_UP;
}

/** Switches an endpoint off and tells the tenant's others. */
async function disable(
  deps: DeliverDeps,
  tenant: string,
  endpoint: EndpointFact,
  reason: 'gone' | 'failing',
): Promise<void> {
  const at = seconds();
  const now = await revise(deps.bucket, tenant, endpoint.id, (fact) =>
    fact.disabled === null ? { ...fact, disabled: { reason, at } } : null,
  );
  if (now?.disabled == null) return;
  const others = (await listEndpoints(deps.bucket, tenant)).filter(
    ({ id, disabled }) => id !== endpoint.id && disabled === null,
  );
  await emit(
    deps,
    tenant,
    {
      id: derivedId('evt_', now.disabled.at * 1000, 'disabled', endpoint.id, now.disabled.at),
      type: 'webhook_endpoint.disabled',
      created_at: now.disabled.at,
      batch_id: null,
      // Not its URL: those often hold a secret, and this goes to other receivers.
      data: { id: endpoint.id, reason: now.disabled.reason },
    },
    others.map(({ id }) => id),
    0,
  );
}
