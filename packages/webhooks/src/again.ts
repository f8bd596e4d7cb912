import type { Bucket } from '@batchmill/bucket';
import { newId, RequestError, type WebhookAttempt, type WebhookDeliveryObject } from '@batchmill/contract';
import { readDelivery, viewDelivery } from './delivery.ts';
import { type EmitDeps, enqueue, newDelivery } from './emit.ts';
import { readEndpoint } from './endpoint.ts';
import { readEvent } from './event.ts';
import { signedHeaders } from './secret.ts';
import type { Sender } from './send.ts';

/**
 * Delivers an event again, with the same `webhook-id`, as a delivery of its own. `null` if there is no such delivery.
 * @throws RequestError 409 `webhook_endpoint_disabled`
 */
export async function redeliver(
  deps: EmitDeps,
  tenant: string,
  endpoint: string,
  id: string,
): Promise<WebhookDeliveryObject | null> {
  const state = await readDelivery(deps.bucket, tenant, endpoint, id);
  const event = state === null ? null : await readEvent(deps.bucket, tenant, state.delivery.event_id);
  const to = await readEndpoint(deps.bucket, tenant, endpoint);
  if (event === null || to === null) return null;
  if (to.disabled !== null)
    throw new RequestError(409, `The endpoint '${endpoint}' is switched off. Switch it on first.`, {
      code: 'webhook_endpoint_disabled',
    });
  const again = newId('dlv_');
  await enqueue(deps, tenant, newDelivery(event, { id: again, endpoint, lane: again, rank: 0 }));
  return viewDelivery(deps.bucket, tenant, endpoint, again);
}

/** Posts a `webhook.test` event at once and says what the receiver answered. Nothing is kept. `null` if there is no such endpoint. */
export async function sendTest(
  bucket: Bucket,
  sender: Sender,
  tenant: string,
  endpoint: string,
): Promise<WebhookAttempt | null> {
  const fact = await readEndpoint(bucket, tenant, endpoint);
  if (fact === null) return null;
  const now = Date.now();
  const id = newId('evt_');
  const at = Math.floor(now / 1000);
  const body = JSON.stringify({ id, object: 'event', type: 'webhook.test', created_at: at, data: { id: endpoint } });
  const sent = await sender.post(fact.url, signedHeaders(fact.secrets, id, body, now), body);
  return {
    at,
    response_code: sent.status,
    response_body: sent.body,
    duration_ms: sent.durationMs,
    error: sent.error,
  };
}
