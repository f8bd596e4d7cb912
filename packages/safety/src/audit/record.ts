import { createHash, createHmac } from 'node:crypto';
import { z } from 'zod';
import type { JudgedSegment, Segment } from '../port.ts';

/** One line of the audit log: something of an answer was masked or withheld. Never the content itself. */
export const AuditRecord = z.strictObject({
  /** ISO 8601. */
  at: z.string(),
  tenant: z.string(),
  batch_id: z.string(),
  /** Of the item in its batch, from 0; with the batch it tells repeats of a record after a crash. */
  position: z.number().int(),
  custom_id: z.string(),
  /** Where in the answer: `choices.0.content`. */
  segment: z.string(),
  action: z.enum(['redact', 'block']),
  /** Hash of the policy; its text is under `policies/`. */
  policy: z.string(),
  filter: z.string(),
  version: z.string(),
  category: z.string(),
  severity: z.number(),
  score: z.number(),
  label: z.string(),
  /** How many places. */
  places: z.number().int(),
  /** Of the whole segment as the model wrote it: `sha256:…`, or `hmac-sha256:…` with the operator's key. `null`: it could not be judged. */
  content: z.string().nullable(),
});
export type AuditRecord = z.infer<typeof AuditRecord>;

/** Who and under which policy, the same for all records of an item. */
export type AuditScope = Pick<AuditRecord, 'tenant' | 'batch_id' | 'position' | 'custom_id' | 'policy'>;

/** With a key nobody can find out what a short text was by hashing guesses. */
export function contentHash(text: string, key: string | null): string {
  return key === null
    ? `sha256:${createHash('sha256').update(text).digest('hex')}`
    : `hmac-sha256:${createHmac('sha256', key).update(text).digest('hex')}`;
}

/** The records of a judged answer: one for each finding that changed something. */
export function auditRecords(
  scope: AuditScope,
  segments: readonly Segment[],
  judged: readonly JudgedSegment[],
  key: string | null,
): AuditRecord[] {
  const at = new Date().toISOString();
  return judged.flatMap((segment, i) =>
    segment.findings.flatMap(({ action, filter, version, category, severity, score, label, spans }): AuditRecord[] =>
      action === 'annotate'
        ? []
        : [
            {
              at,
              ...scope,
              segment: segment.id,
              action,
              filter,
              version,
              category,
              severity,
              score,
              label,
              places: spans.length,
              content: contentHash(segments[i]?.text ?? '', key),
            },
          ],
    ),
  );
}

/** The record of an answer that could not be judged and so was withheld. */
export function unjudgedRecord(scope: AuditScope, filter: string): AuditRecord {
  return {
    at: new Date().toISOString(),
    ...scope,
    segment: '',
    action: 'block',
    filter,
    version: '',
    category: 'content_filter_error',
    severity: 6,
    score: 1,
    label: 'content_filter_error',
    places: 0,
    content: null,
  };
}
