import type { BatchOptions } from '@batchmill/batch';
import type { BatchObject, BatchWebhook } from '@batchmill/contract';
import { storePolicy } from '@batchmill/safety';
import { createBatchEndpoint } from '@batchmill/webhooks';
import type { Context } from 'hono';
import type { Deps, Env } from '../deps.ts';

/** What was asked of a new batch beside its request. */
export interface Wishes {
  /** Names of content policies, beside that of the key. */
  policies: readonly (string | undefined)[];
  webhook: BatchWebhook | undefined;
}

/**
 * Resolves and stores the content policy of a new batch, makes its webhook endpoint, and passes both on with the key and its
 * quota. The answer has the secret of the endpoint if it was made up: this one time.
 */
export async function acceptBatch(
  { bucket, policies, webhooks }: Deps,
  c: Context<Env>,
  wishes: Wishes,
  make: (options: BatchOptions) => Promise<BatchObject>,
): Promise<BatchObject> {
  const tenant = c.get('tenant');
  const chosen = [...new Set([c.get('policy'), ...wishes.policies].filter((name) => name != null))];
  // Before the batch that names it.
  const policy = await storePolicy(bucket, policies.resolve(tenant, chosen));
  const endpoint =
    wishes.webhook === undefined ? null : await createBatchEndpoint(bucket, webhooks.guard, tenant, wishes.webhook);
  const webhook = endpoint === null ? null : { endpoint_id: endpoint.id, url: endpoint.url };
  const made = await make({ policy, policies: chosen, webhook, key: c.get('key'), quota: c.get('quota') });
  if (made.webhook === undefined || endpoint?.secret === undefined || made.webhook.endpoint_id !== endpoint.id)
    return made;
  return { ...made, webhook: { ...made.webhook, secret: endpoint.secret } };
}
