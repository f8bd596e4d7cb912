import { z } from 'zod';
import { ExpiresAfter } from './file.ts';
import { BatchWebhook } from './webhook.ts';

/** Endpoints a batch line may name. */
export const ENDPOINTS = [
  '/v1/chat/completions',
  '/v1/ocr',
  '/v1/audio/transcriptions',
  '/v1/audio/translations',
  '/v1/moderations',
] as const;
export const Endpoint = z.enum(ENDPOINTS);
export type Endpoint = z.infer<typeof Endpoint>;

/** What progress inside items is counted in, for endpoints whose items may take long; `null` where items are enough. */
export function progressUnit(endpoint: string): 'pages' | 'audio_seconds' | null {
  if (endpoint === '/v1/ocr') return 'pages';
  return endpoint.startsWith('/v1/audio/') ? 'audio_seconds' : null;
}

/** Up to 16 pairs; keys ≤ 64 characters, values ≤ 512. */
export const Metadata = z
  .record(z.string().max(64), z.string().max(512))
  .refine((m) => Object.keys(m).length <= 16, 'at most 16 pairs are allowed');

const HOUR = 3_600;

/** `24h`, `3d` …: at least 1 h, at most 7 d. */
export const CompletionWindow = z
  .string()
  .regex(/^[1-9]\d{0,3}[hd]$/, 'must be hours or days, like "24h" or "3d"')
  .refine((w) => windowSeconds(w) <= 7 * 24 * HOUR, 'must be at most "7d"');

/** Length of a completion window in seconds. */
export function windowSeconds(window: string): number {
  const n = Number.parseInt(window, 10);
  return n * (window.endsWith('d') ? 24 * HOUR : HOUR);
}

export const BatchCreate = z
  .strictObject({
    input_file_id: z.string(),
    endpoint: Endpoint,
    completion_window: CompletionWindow,
    metadata: Metadata.nullable()
      .optional()
      .refine((metadata) => metadata?.webhook_url === undefined, {
        path: ['webhook_url'],
        message: 'metadata calls nobody; send `"webhook": {"url": "https://…"}` in the body instead',
      }),
    output_expires_after: ExpiresAfter.optional(),
    /** Extension: offer an empty output file instead of `output_file_id: null` when every item failed. */
    empty_output_file: z.boolean().optional(),
    /** Extension: a URL that is told when this batch has ended. */
    webhook: BatchWebhook.optional(),
  })
  .meta({ id: 'BatchCreate' });
export type BatchCreate = z.infer<typeof BatchCreate>;

/**
 * Which lines of an error file are done again: those that were answered with an error, of these only those with a status of
 * 500 and more, and those that never ran because the batch expired or was cancelled.
 */
export const RetryKind = z.enum(['failed', 'server_error', 'expired', 'cancelled']);
export type RetryKind = z.infer<typeof RetryKind>;

/** What is left out is as in the batch that is done again. */
export const BatchRetry = z
  .strictObject({
    only: z.array(RetryKind).min(1).max(4).default(['failed', 'expired', 'cancelled']),
    completion_window: CompletionWindow.optional(),
    metadata: Metadata.nullish(),
    output_expires_after: ExpiresAfter.optional(),
    webhook: BatchWebhook.optional(),
  })
  .meta({ id: 'BatchRetry' });
export type BatchRetry = z.infer<typeof BatchRetry>;

export const BatchDeleted = z
  .object({ id: z.string(), object: z.literal('batch'), deleted: z.literal(true) })
  .meta({ id: 'BatchDeleted' });

export const BatchStatus = z.enum([
  'validating',
  'failed',
  'in_progress',
  'finalizing',
  'completed',
  'expired',
  'cancelling',
  'cancelled',
]);
export type BatchStatus = z.infer<typeof BatchStatus>;

export const Usage = z.object({
  input_tokens: z.number().int(),
  input_tokens_details: z.object({ cached_tokens: z.number().int() }),
  output_tokens: z.number().int(),
  output_tokens_details: z.object({ reasoning_tokens: z.number().int() }),
  total_tokens: z.number().int(),
});
export type Usage = z.infer<typeof Usage>;

export const BatchError = z.object({
  code: z.string(),
  line: z.number().int().nullable(),
  message: z.string(),
  param: z.string().nullable(),
});
export type BatchError = z.infer<typeof BatchError>;

/**
 * In how many items something of a category was annotated, redacted or blocked. An item counts once for each of the three,
 * however much was found in it.
 */
export const FindingCounts = z.record(
  z.string(),
  z.object({ annotated: z.number().int(), redacted: z.number().int(), blocked: z.number().int() }),
);
export type FindingCounts = z.infer<typeof FindingCounts>;

const time = z.number().int().nullable();

export const BatchObject = z
  .object({
    id: z.string(),
    object: z.literal('batch'),
    endpoint: z.string(),
    model: z.string().nullable(),
    errors: z.object({ object: z.literal('list'), data: z.array(BatchError) }).nullable(),
    input_file_id: z.string(),
    completion_window: z.string(),
    status: BatchStatus,
    output_file_id: z.string().nullable(),
    error_file_id: z.string().nullable(),
    created_at: z.number().int(),
    in_progress_at: time,
    expires_at: time,
    finalizing_at: time,
    completed_at: time,
    failed_at: time,
    expired_at: time,
    cancelling_at: time,
    cancelled_at: time,
    request_counts: z.object({ total: z.number().int(), completed: z.number().int(), failed: z.number().int() }),
    usage: Usage.nullable(),
    metadata: z.record(z.string(), z.string()).nullable(),
    /** Extension: how far inside the items a batch of documents or recordings has come; `null` for others. */
    /** `total`: of the items that were begun, and reckoned from these for the others. */
    progress: z
      .object({
        unit: z.enum(['pages', 'audio_seconds']),
        done: z.number().int(),
        total: z.number().int().nullable(),
      })
      .nullable(),
    /** Extension: what the content filters found, by category, once the batch has ended; `null` if nothing. */
    content_filter_summary: FindingCounts.nullable(),
    /** Extension: the webhook of this batch alone, if it has one. The secret is shown once, when the batch is made. */
    webhook: z.object({ endpoint_id: z.string(), url: z.string(), secret: z.string().optional() }).optional(),
    /** Extension: the batch whose lines this one does again, if it is a retry. */
    retry_of: z.string().optional(),
  })
  .meta({ id: 'Batch' });
export type BatchObject = z.infer<typeof BatchObject>;

/** Sum of two usages, for totals over items. */
export function addUsage(a: Usage, b: Usage): Usage {
  return {
    input_tokens: a.input_tokens + b.input_tokens,
    input_tokens_details: {
      cached_tokens: a.input_tokens_details.cached_tokens + b.input_tokens_details.cached_tokens,
    },
    output_tokens: a.output_tokens + b.output_tokens,
    output_tokens_details: {
      reasoning_tokens: a.output_tokens_details.reasoning_tokens + b.output_tokens_details.reasoning_tokens,
    },
    total_tokens: a.total_tokens + b.total_tokens,
  };
}

/** Sum of two counts of findings; `null` is none. */
export function addFindings(a: FindingCounts | null, b: FindingCounts | null): FindingCounts | null {
  if (a === null || b === null) return a ?? b;
  const sum = new Map(Object.entries(a));
  for (const [category, more] of Object.entries(b)) {
    const before = sum.get(category) ?? { annotated: 0, redacted: 0, blocked: 0 };
    sum.set(category, {
      annotated: before.annotated + more.annotated,
      redacted: before.redacted + more.redacted,
      blocked: before.blocked + more.blocked,
    });
  }
  return Object.fromEntries(sum);
}

export const NO_USAGE: Usage = {
  input_tokens: 0,
  input_tokens_details: { cached_tokens: 0 },
  output_tokens: 0,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: 0,
};
