import { z } from 'zod';

/** What a webhook endpoint can ask for. `item.*` and `batch.in_progress` are for those who want to know more than the end. */
export const WEBHOOK_EVENTS = [
  'batch.completed',
  'batch.failed',
  'batch.expired',
  'batch.cancelled',
  'batch.in_progress',
  'item.completed',
  'item.failed',
] as const;
export const WebhookEventName = z.enum(WEBHOOK_EVENTS);
export type WebhookEventName = z.infer<typeof WebhookEventName>;

/** Everything that can be sent: beside what can be asked for, the try-out, and the news that another endpoint was switched off. */
export const WebhookEventType = z.enum([...WEBHOOK_EVENTS, 'webhook.test', 'webhook_endpoint.disabled']);
export type WebhookEventType = z.infer<typeof WebhookEventType>;

/** The events of the end of a batch: what a `webhook` of a batch itself gets. */
export const BATCH_END_EVENTS: readonly WebhookEventName[] = [
  'batch.completed',
  'batch.failed',
  'batch.expired',
  'batch.cancelled',
];

/** `https://…`; whether it may be reached is judged when the endpoint is made, and at every delivery again. */
const WebhookUrl = z.string().min(1).max(2_048);

/** Standard Webhooks: `whsec_` and base64 of 24 to 64 bytes. */
export const WebhookSecret = z
  .string()
  .regex(/^whsec_[A-Za-z0-9+/]+={0,2}$/, 'must be "whsec_" followed by base64')
  .refine((secret) => {
    const { length } = Buffer.from(secret.slice('whsec_'.length), 'base64');
    return length >= 24 && length <= 64;
  }, 'must hold 24 to 64 bytes');

const Events = z
  .array(WebhookEventName)
  .min(1)
  .max(WEBHOOK_EVENTS.length)
  .refine((events) => new Set(events).size === events.length, 'must name each event once');
const Description = z.string().max(512);

export const WebhookEndpointCreate = z
  .strictObject({ url: WebhookUrl, events: Events, description: Description.nullable().optional() })
  .meta({ id: 'WebhookEndpointCreate' });
export type WebhookEndpointCreate = z.infer<typeof WebhookEndpointCreate>;

/** What is left out stays. `disabled: false` switches an endpoint on again. */
export const WebhookEndpointUpdate = z
  .strictObject({
    url: WebhookUrl.optional(),
    events: Events.optional(),
    description: Description.nullable().optional(),
    disabled: z.boolean().optional(),
  })
  .meta({ id: 'WebhookEndpointUpdate' });
export type WebhookEndpointUpdate = z.infer<typeof WebhookEndpointUpdate>;

export const WebhookSecretRotate = z
  .strictObject({
    /** Seconds during which deliveries are signed with the old secret too: up to 7 days, by default one. */
    overlap_seconds: z.number().int().min(0).max(604_800).default(86_400),
  })
  .meta({ id: 'WebhookSecretRotate' });
export type WebhookSecretRotate = z.infer<typeof WebhookSecretRotate>;

export const WebhookDisabledReason = z.enum(['by_request', 'gone', 'failing']);

export const WebhookEndpointObject = z
  .object({
    id: z.string(),
    object: z.literal('webhook_endpoint'),
    url: z.string(),
    events: z.array(WebhookEventName),
    description: z.string().nullable(),
    created_at: z.number().int(),
    disabled: z.boolean(),
    /** `gone`: it answered 410. `failing`: it failed for too long. */
    disabled_reason: WebhookDisabledReason.nullable(),
    disabled_at: z.number().int().nullable(),
    /** Of a batch with a `webhook` of its own; such endpoints are not listed. */
    batch_only: z.boolean(),
    /** Shown once: when the endpoint is made, and when its secret is rotated. */
    secret: z.string().optional(),
  })
  .meta({ id: 'WebhookEndpoint' });
export type WebhookEndpointObject = z.infer<typeof WebhookEndpointObject>;

export const WebhookEndpointDeleted = z
  .object({ id: z.string(), object: z.literal('webhook_endpoint'), deleted: z.literal(true) })
  .meta({ id: 'WebhookEndpointDeleted' });

export const WebhookAttempt = z
  .object({
    /** Unix seconds. */
    at: z.number().int(),
    /** Status of the answer; `null` if there was none. */
    response_code: z.number().int().nullable(),
    /** The beginning of the answer's body, at most 1 KB. */
    response_body: z.string().nullable(),
    duration_ms: z.number().int(),
    /** Why it failed, in words; `null` if it did not. */
    error: z.string().nullable(),
  })
  .meta({ id: 'WebhookAttempt' });
export type WebhookAttempt = z.infer<typeof WebhookAttempt>;

export const WebhookDeliveryStatus = z.enum(['pending', 'delivered', 'failed']);

export const WebhookDeliveryObject = z
  .object({
    id: z.string(),
    object: z.literal('webhook_endpoint.delivery'),
    endpoint_id: z.string(),
    /** What the receiver sees as `webhook-id`. */
    event_id: z.string(),
    event_type: WebhookEventType,
    batch_id: z.string().nullable(),
    created_at: z.number().int(),
    status: WebhookDeliveryStatus,
    /** Of the last attempt. */
    response_code: z.number().int().nullable(),
    /** Of the last attempt. */
    duration_ms: z.number().int().nullable(),
    attempts: z.array(WebhookAttempt),
    /** Unix seconds; `null` when there is none to come. A delivery waits for earlier ones of its batch. */
    next_attempt_at: z.number().int().nullable(),
  })
  .meta({ id: 'WebhookDelivery' });
export type WebhookDeliveryObject = z.infer<typeof WebhookDeliveryObject>;

/** `webhook` of `POST /v1/batches`: tells one URL of the end of this batch. */
export const BatchWebhook = z
  .strictObject({
    url: WebhookUrl,
    /** What deliveries are signed with. Without one, one is made and shown once, in the answer. */
    secret: WebhookSecret.optional(),
  })
  .meta({ id: 'BatchWebhookCreate' });
export type BatchWebhook = z.infer<typeof BatchWebhook>;
