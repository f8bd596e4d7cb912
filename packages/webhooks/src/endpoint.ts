import { readFact } from '@batchmill/batch';
import { type Bucket, layout } from '@batchmill/bucket';
import { isId, WebhookDisabledReason, type WebhookEndpointObject, WebhookEventName } from '@batchmill/contract';
import { z } from 'zod';

/**
 * One revision of an endpoint. The last revision counts; each is written once, on condition that nobody has written it, so
 * that of two changes at once both take effect, one after the other. Times in Unix seconds.
 */
export const EndpointFact = z.object({
  id: z.string(),
  url: z.string(),
  events: z.array(WebhookEventName),
  description: z.string().nullable(),
  created_at: z.number(),
  batch_only: z.boolean(),
  /** The newest first. The server signs with them, so they are stored as they are. */
  secrets: z.array(z.object({ secret: z.string(), until: z.number().nullable() })),
  disabled: z.object({ reason: WebhookDisabledReason, at: z.number() }).nullable(),
  /** When it was last switched on again. */
  enabled_at: z.number().nullable().default(null),
  deleted: z.boolean(),
});
export type EndpointFact = z.infer<typeof EndpointFact>;

export interface Revision {
  number: number;
  fact: EndpointFact;
}

/** The last revision, of a deleted endpoint too; `null` if there never was such an endpoint. */
export async function readRevision(bucket: Bucket, tenant: string, id: string): Promise<Revision | null> {
  if (!isId('we_', id)) return null;
  let last: string | null = null;
  for await (const { key } of bucket.list(layout.hook.revisions(tenant, id))) last = key;
  if (last === null) return null;
  const fact = await readFact(bucket, last, EndpointFact);
  return fact === null ? null : { number: Number(/(\d+)\.json$/.exec(last)?.[1]), fact };
}

/** An endpoint that is not deleted, or `null`. */
export async function readEndpoint(bucket: Bucket, tenant: string, id: string): Promise<EndpointFact | null> {
  const revision = await readRevision(bucket, tenant, id);
  return revision === null || revision.fact.deleted ? null : revision.fact;
}

/**
 * Writes the next revision. `change` may run several times, on what others have written meanwhile; it returns `null` where
 * there is nothing to change.
 * @returns what stands then, or `null` if there is no such endpoint, or no more.
 */
export async function revise(
  bucket: Bucket,
  tenant: string,
  id: string,
  change: (fact: EndpointFact) => EndpointFact | null,
): Promise<EndpointFact | null> {
  for (;;) {
    const now = await readRevision(bucket, tenant, id);
    if (now === null || now.fact.deleted) return null;
    const next = change(now.fact);
    if (next === null) return now.fact;
    if (await bucket.create(layout.hook.endpoint(tenant, id, now.number + 1), JSON.stringify(next))) return next;
  }
}

/** The endpoints of a tenant that it can list: not the deleted ones, not those of single batches. The oldest first. */
export async function listEndpoints(bucket: Bucket, tenant: string): Promise<EndpointFact[]> {
  const ids: string[] = [];
  const prefix = layout.hook.livePrefix(tenant);
  for await (const { key } of bucket.list(prefix)) ids.push(key.slice(prefix.length));
  const found = await Promise.all(ids.map((id) => readEndpoint(bucket, tenant, id)));
  return found.filter((fact) => fact !== null);
}

/** As clients see it: never with a secret, unless it is shown this once. */
export function viewEndpoint(fact: EndpointFact, options: { withSecret?: boolean } = {}): WebhookEndpointObject {
  const secret = options.withSecret === true ? fact.secrets[0]?.secret : undefined;
  return {
    id: fact.id,
    object: 'webhook_endpoint',
    url: fact.url,
    events: fact.events,
    description: fact.description,
    created_at: fact.created_at,
    disabled: fact.disabled !== null,
    disabled_reason: fact.disabled?.reason ?? null,
    disabled_at: fact.disabled?.at ?? null,
    batch_only: fact.batch_only,
    ...(secret === undefined ? {} : { secret }),
  };
}
