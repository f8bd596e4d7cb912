import { z } from 'zod';
import { CompletionWindow } from './batch.ts';

/** Which events become items, and which items. */
export const TriggerTemplate = z
  .strictObject({
    task: z.enum(['ocr', 'transcription', 'chat']),
    /** The item's body; strings may hold `{{ JSONata }}` over the event. */
    body: z
      .record(z.string(), z.unknown())
      .refine((body) => JSON.stringify(body).length <= 65_536, 'may have 65,536 characters of JSON at most'),
    /** An event that does not pass makes no item, and is answered as taken all the same. */
    filter: z
      .strictObject({
        /** Of the object's key. */
        prefix: z.string().max(1_000).optional(),
        suffix: z.string().max(1_000).optional(),
        min_bytes: z.number().int().min(0).optional(),
        max_bytes: z.number().int().min(0).optional(),
        /** `image/png`, or `image/*`. */
        content_type: z.string().max(200).optional(),
        /** Of the event's type, as the sender writes it: `ObjectCreated:*`. `*` at the end stands for anything. */
        type: z.string().max(200).optional(),
        /** A JSONata expression that must give `true`. */
        when: z.string().max(10_000).optional(),
      })
      .default({}),
  })
  .meta({ id: 'TriggerTemplate' });
export type TriggerTemplate = z.infer<typeof TriggerTemplate>;

/** Who sends, and so how it is verified. */
export const TRIGGER_SOURCES = ['s3', 'sns', 'cloudevents', 'standard_webhooks', 'github', 'json', 'form'] as const;

const Secret = z.string().min(16, 'must have at least 16 characters').max(200);
export const TriggerSource = z
  .discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('sns'),
      topic_arn: z.string().regex(/^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w.-]+$/),
    }),
    ...(['s3', 'cloudevents', 'github', 'json', 'form'] as const).map((type) =>
      z.strictObject({ type: z.literal(type), secret: Secret.optional() }),
    ),
    z.strictObject({
      type: z.literal('standard_webhooks'),
      secret: z
        .string()
        .regex(/^whsec_[A-Za-z0-9+/]{32,86}={0,2}$/, 'must be "whsec_" and base64 of 24 to 64 bytes')
        .optional(),
    }),
  ])
  .meta({ id: 'TriggerSource' });
export type TriggerSource = z.infer<typeof TriggerSource>;

const whole = (least: number, most: number) => z.number().int().min(least).max(most);
const LIMITS = {
  /** A batch is made of so many items, */
  max_items: whole(1, 50_000),
  /** or so many bytes of lines, */
  max_bytes: whole(1, 100 * 2 ** 20),
  /** or after so many seconds, whichever comes first. */
  max_wait_seconds: whole(1, 3_600),
  /** Requests beyond this rate are answered 429 (in each API process). */
  requests_per_second: whole(1, 10_000),
};

export const TriggerLimits = z.strictObject({
  max_items: LIMITS.max_items.default(1_000),
  max_bytes: LIMITS.max_bytes.default(10 * 2 ** 20),
  max_wait_seconds: LIMITS.max_wait_seconds.default(30),
  requests_per_second: LIMITS.requests_per_second.default(1_000),
});
const TriggerLimitsUpdate = z.strictObject(LIMITS).partial();

const Name = z.string().min(1).max(100);
const Policy = z.string().max(63).nullable();

export const TriggerCreate = z
  .strictObject({
    name: Name,
    source: TriggerSource,
    template: TriggerTemplate,
    limits: TriggerLimits.prefault({}),
    completion_window: CompletionWindow.default('24h'),
    /** Content policy that its batches are judged by too. */
    content_policy: Policy.default(null),
    /** An event as the sender's body has it: the template is tried on it, so that mistakes show now. */
    sample_event: z.unknown().optional(),
  })
  .meta({ id: 'TriggerCreate' });
export type TriggerCreate = z.infer<typeof TriggerCreate>;

/** What is left out stays. The kind of source cannot be changed: make another trigger. */
export const TriggerUpdate = z
  .strictObject({
    name: Name.optional(),
    template: TriggerTemplate.optional(),
    /** Those that are left out stay too. */
    limits: TriggerLimitsUpdate.optional(),
    completion_window: CompletionWindow.optional(),
    content_policy: Policy.optional(),
    disabled: z.boolean().optional(),
    sample_event: z.unknown().optional(),
  })
  .meta({ id: 'TriggerUpdate' });
export type TriggerUpdate = z.infer<typeof TriggerUpdate>;

export const TriggerSecretRotate = z
  .strictObject({
    /** Yours; without one, one is made up and shown in the answer. */
    secret: z.string().max(200).optional(),
    /** Seconds during which the secret before counts too: up to 7 days, by default one. */
    overlap_seconds: z.number().int().min(0).max(604_800).default(86_400),
  })
  .meta({ id: 'TriggerSecretRotate' });
export type TriggerSecretRotate = z.infer<typeof TriggerSecretRotate>;

export const TriggerObject = z
  .object({
    id: z.string(),
    object: z.literal('trigger'),
    name: z.string(),
    source: z.object({ type: z.enum(TRIGGER_SOURCES), topic_arn: z.string().optional() }),
    template: TriggerTemplate,
    limits: TriggerLimits,
    completion_window: z.string(),
    content_policy: z.string().nullable(),
    disabled: z.boolean(),
    created_at: z.number().int(),
    /** Where its events are posted: below the address of this API. */
    events_path: z.string(),
    /** What the sender signs or sends with. Shown this once. */
    secret: z.string().optional(),
  })
  .meta({ id: 'Trigger' });
export type TriggerObject = z.infer<typeof TriggerObject>;

/** The answer to a delivery, with status 202: each event that became an item, and how many did not pass the filter. */
export const EventsAccepted = z
  .object({
    object: z.literal('events.accepted'),
    trigger_id: z.string(),
    items: z.array(z.object({ batch_id: z.string(), item_id: z.string(), duplicate: z.boolean() })),
    filtered: z.number().int(),
  })
  .meta({ id: 'EventsAccepted' });
export type EventsAccepted = z.infer<typeof EventsAccepted>;

export const TriggerTest = z.strictObject({ event: z.unknown() }).meta({ id: 'TriggerTest' });
export const TriggerTestResult = z
  .object({
    object: z.literal('trigger.test'),
    events: z.array(
      z.object({
        type: z.string(),
        item: z.object({ url: z.string(), body: z.record(z.string(), z.unknown()) }).nullable(),
        error: z.string().nullable(),
      }),
    ),
  })
  .meta({ id: 'TriggerTestResult' });
export type TriggerTestResult = z.infer<typeof TriggerTestResult>;
