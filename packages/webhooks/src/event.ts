import { hash } from 'node:crypto';
import { readFact, settleFact } from '@batchmill/batch';
import { type Bucket, layout } from '@batchmill/bucket';
import { WebhookEventType } from '@batchmill/contract';
import { z } from 'zod';
import type { OutputUrl } from './output-url.ts';

/** What happened, and who is told: written once. */
export const EventFact = z.object({
  id: z.string(),
  type: WebhookEventType,
  /** Unix seconds. */
  created_at: z.number(),
  /** Events of one batch come in order. */
  batch_id: z.string().nullable(),
  data: z.record(z.string(), z.unknown()),
  /** The endpoints that are told; those made later are not. */
  endpoints: z.array(z.string()),
});
export type EventFact = z.infer<typeof EventFact>;
export type NewEvent = Omit<EventFact, 'endpoints'>;

/** An id made from what it is of: whoever makes it again, after a crash, makes the same. `at`: Unix milliseconds. */
export function derivedId(kind: 'evt_' | 'dlv_', at: number, ...of: (string | number)[]): string {
  const time = Math.floor(at).toString(16).padStart(12, '0');
  return `${kind}${time}${hash('sha256', of.join(' ')).slice(0, 20)}`;
}

export async function readEvent(bucket: Bucket, tenant: string, id: string): Promise<EventFact | null> {
  return readFact(bucket, layout.hook.event(tenant, id), EventFact);
}

export async function settleEvent(bucket: Bucket, tenant: string, event: EventFact): Promise<EventFact> {
  return settleFact(bucket, layout.hook.event(tenant, event.id), EventFact, event);
}

/**
 * The body of an event, as it is signed and sent. What does not change is as it was written; the signed URL of the output
 * file is made for each attempt, since it lives shorter than the retries last.
 */
export async function eventBody(outputUrl: OutputUrl, tenant: string, event: EventFact): Promise<string> {
  const data = { ...event.data };
  if ('output_file_url' in data && event.batch_id !== null)
    data.output_file_url = await outputUrl(tenant, event.batch_id);
  return JSON.stringify({ id: event.id, object: 'event', type: event.type, created_at: event.created_at, data });
}
