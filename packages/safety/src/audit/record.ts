import { createHash, createHmac } from 'node:crypto';
import { z } from 'zod';
import type { JudgedSegment, Segment } from '../port.ts';

/** One line of the audit log: something of an answer was masked or withheld. Never the content itself. */
export const AuditRecord = z.strictObject({
  /** ISO 8601. */
  at: z.string(),
  tenant: z.string(),
  /** Id of the API key the batch was made with; `null`: none, or a trigger made it. */
  key: z.string().nullable().default(null),
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
  /** How many places; 0: the text as a whole. */
  places: z.number().int(),
  /**
   * Hash of the whole segment: `hmac-sha256:…` of what the model wrote, with the operator's key. Without one, `sha256:…` of it if it
   * was withheld, and `delivered-sha256:…` of what was left if it was masked. `null`: it could not be judged.
   */
  content: z.string().nullable(),
});
export type AuditRecord = z.infer<typeof AuditRecord>;

/** Who and under which policy, the same for all records of an item. */
export type AuditScope = Pick<AuditRecord, 'tenant' | 'key' | 'batch_id' | 'position' | 'custom_id' | 'policy'>;

/**
 * `sha256:…` in hexadecimal of the text as UTF-8, or `hmac-sha256:…` (RFC 2104): with a key nobody can find out what a short text
 * was by hashing guesses.
 */
export function contentHash(text: string, key: string | null): string {
  return key === null
    ? `sha256:${createHash('sha256').update(text).digest('hex')}`
    : `hmac-sha256:${createHmac('sha256', key).update(text).digest('hex')}`;
}

/**
 * The records of a judged answer: one for each thing that was masked or withheld because of one kind of finding, however many there
 * are of it.
 */
export function auditRecords(
  scope: AuditScope,
  segments: readonly Segment[],
  judged: readonly JudgedSegment[],
  key: string | null,
): AuditRecord[] {
  const at = new Date().toISOString();
  return judged.flatMap((segment, i): AuditRecord[] => {
    const records = new Map<string, AuditRecord>();
    let content: string | null = null;
    for (const { action, filter, version, category, severity, score, label, spans } of segment.findings) {
      if (action === 'annotate') continue;
      content ??= hashOf(segments[i]?.text ?? '', segment, key);
      const id = JSON.stringify([action, filter, version, category, severity, label]);
      const before = records.get(id);
      records.set(id, {
        at,
        ...scope,
        segment: segment.id,
        action,
        filter,
        version,
        category,
        severity,
        score: Math.max(score, before?.score ?? 0),
        label,
        places: spans.length + (before?.places ?? 0),
        content,
      });
    }
    return [...records.values()];
  });
}

/**
 * Where only a few words were masked, everybody who has the answer could put guesses in their place (a phone number is ten digits)
 * and see which one has the hash. So without a key it is that of the text as it was delivered, which finds the answer again and
 * gives nothing away.
 */
function hashOf(original: string, { blocked, text }: JudgedSegment, key: string | null): string {
  return key === null && !blocked ? `delivered-${contentHash(text, null)}` : contentHash(original, key);
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
