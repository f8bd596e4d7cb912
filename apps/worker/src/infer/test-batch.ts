import { BatchFact } from '@batchmill/batch';
import type { Claim } from './fair-order.ts';

/** A batch that is open for an hour, for tests. */
export function openBatch(tenant: string, id: string, over: Partial<BatchFact> = {}): BatchFact {
  const now = Math.floor(Date.now() / 1000);
  return BatchFact.parse({
    id,
    tenant,
    created_at: now,
    expires_at: now + 3_600,
    input_file_id: 'file-a',
    endpoint: '/v1/chat/completions',
    completion_window: '1h',
    metadata: null,
    output_lifetime: null,
    empty_output_file: false,
    ...over,
  });
}

/** The claim of a tenant's batch that is far from its end, or as `over` says. */
export function claim(tenant: string, over: Partial<Claim> = {}): Claim {
  const expiresAt = over.expiresAt ?? Date.now() / 1000 + 3_600;
  return { tenant, batch: `${tenant}-batch`, expiresAt, urgentAt: expiresAt, ...over };
}
