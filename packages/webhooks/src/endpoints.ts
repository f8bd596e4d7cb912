import { type Bucket, layout } from '@batchmill/bucket';
import {
  BATCH_END_EVENTS,
  type BatchWebhook,
  newId,
  RequestError,
  type WebhookEndpointCreate,
  type WebhookEndpointObject,
  type WebhookEndpointUpdate,
} from '@batchmill/contract';
import type { Guard } from '@batchmill/guard';
import { EndpointFact, listEndpoints, readEndpoint, revise, viewEndpoint } from './endpoint.ts';
import { KEPT_DAYS, today } from './kept.ts';
import { newSecret } from './secret.ts';

/** Most endpoints of a tenant. Creations at the very same moment may pass it by one or two. */
export const MAX_ENDPOINTS = 20;

const seconds = () => Math.floor(Date.now() / 1000);

/**
 * Makes an endpoint. The answer is the one time its secret is shown.
 * @throws RequestError 400 `url_not_allowed`, or `too_many_endpoints`.
 */
export async function createEndpoint(
  bucket: Bucket,
  guard: Guard,
  tenant: string,
  input: WebhookEndpointCreate,
): Promise<WebhookEndpointObject> {
  checkUrl(guard, input.url, 'url');
  if ((await listEndpoints(bucket, tenant)).length >= MAX_ENDPOINTS)
    throw new RequestError(
      400,
      `There are ${MAX_ENDPOINTS} webhook endpoints already. Delete one that is not needed.`,
      {
        code: 'too_many_endpoints',
      },
    );
  const fact = newFact(input.url, { events: input.events, description: input.description ?? null });
  // The index first: an entry that points nowhere is skipped, an endpoint without one could not be found.
  await bucket.put(layout.hook.live(tenant, fact.id), '');
  await bucket.create(layout.hook.endpoint(tenant, fact.id, 0), JSON.stringify(fact));
  return viewEndpoint(fact, { withSecret: true });
}

/**
 * Makes the endpoint of one batch, before the batch. It is not listed and does not count; the sweep deletes it some weeks
 * after the batch can have ended.
 * @throws RequestError 400 `url_not_allowed`.
 */
export async function createBatchEndpoint(
  bucket: Bucket,
  guard: Guard,
  tenant: string,
  input: BatchWebhook,
): Promise<WebhookEndpointObject> {
  checkUrl(guard, input.url, 'webhook.url');
  const fact = newFact(input.url, {
    events: [...BATCH_END_EVENTS],
    description: null,
    batch_only: true,
    ...(input.secret === undefined ? {} : { secrets: [{ secret: input.secret, until: null }] }),
  });
  // A batch runs for a week at most, and its deliveries for two days.
  await bucket.put(layout.hook.kept(today() + KEPT_DAYS + 10, tenant, 'endpoint', fact.id), '');
  await bucket.create(layout.hook.endpoint(tenant, fact.id, 0), JSON.stringify(fact));
  return viewEndpoint(fact, { withSecret: input.secret === undefined });
}

/** Changes what is given. Switched on again, an endpoint gets what happens from then on. `null` if there is none. */
export async function updateEndpoint(
  bucket: Bucket,
  guard: Guard,
  tenant: string,
  id: string,
  input: WebhookEndpointUpdate,
): Promise<WebhookEndpointObject | null> {
  if (input.url !== undefined) checkUrl(guard, input.url, 'url');
  const fact = await revise(bucket, tenant, id, (now) => ({
    ...now,
    url: input.url ?? now.url,
    events: input.events ?? now.events,
    description: input.description === undefined ? now.description : input.description,
    disabled: disabled(now.disabled, input.disabled),
    enabled_at: now.disabled !== null && input.disabled === false ? seconds() : now.enabled_at,
  }));
  return fact === null ? null : viewEndpoint(fact);
}

/** Gives an endpoint a new secret, shown this once; the old one signs too for `overlapSeconds`. `null` if there is none. */
export async function rotateSecret(
  bucket: Bucket,
  tenant: string,
  id: string,
  overlapSeconds: number,
): Promise<WebhookEndpointObject | null> {
  const secret = newSecret();
  const fact = await revise(bucket, tenant, id, (now) => {
    const until = seconds() + overlapSeconds;
    const old = now.secrets
      .map((s) => ({ secret: s.secret, until: Math.min(s.until ?? until, until) }))
      .filter((s) => s.until > seconds());
    // Whoever rotates again and again keeps the last few: each is one more signature in the header.
    return { ...now, secrets: [{ secret, until: null }, ...old].slice(0, 4) };
  });
  return fact === null ? null : viewEndpoint(fact, { withSecret: true });
}

/** Deletes an endpoint. What waits to be delivered to it is given up. `false` if there is none. */
export async function deleteEndpoint(bucket: Bucket, tenant: string, id: string): Promise<boolean> {
  const before = await readEndpoint(bucket, tenant, id);
  const gone = await revise(bucket, tenant, id, (now) => ({ ...now, secrets: [], deleted: true }));
  if (gone !== null) {
    // The last revision stays, so that a change on its way finds the place taken; those with secrets go.
    let last: string | null = null;
    for await (const { key } of bucket.list(layout.hook.revisions(tenant, id))) {
      if (last !== null) await bucket.delete(last);
      last = key;
    }
  }
  if (before !== null || gone !== null) await bucket.delete(layout.hook.live(tenant, id));
  return gone !== null;
}

function newFact(url: string, rest: Pick<EndpointFact, 'events' | 'description'> & Partial<EndpointFact>) {
  return EndpointFact.parse({
    id: newId('we_'),
    url,
    created_at: seconds(),
    batch_only: false,
    secrets: [{ secret: newSecret(), until: null }],
    disabled: null,
    deleted: false,
    ...rest,
  });
}

function disabled(now: EndpointFact['disabled'], wanted: boolean | undefined): EndpointFact['disabled'] {
  if (wanted === undefined) return now;
  if (!wanted) return null;
  return now ?? { reason: 'by_request', at: seconds() };
}

function checkUrl(guard: Guard, url: string, param: string): void {
  try {
    guard.check(url);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    throw new RequestError(400, error.message, { code: error.code ?? 'url_not_allowed', param });
  }
}
