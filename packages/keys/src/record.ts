import { createHash } from 'node:crypto';
import { z } from 'zod';

/** A tenant's name: it becomes a segment of bucket keys. */
export const Tenant = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9 and "-", and begin with a letter or digit');

const most = z.number().int().positive().nullable().optional();

/** What a key may do. Left out: as the settings say. `null`: anything. */
export const KeyQuota = z.strictObject({
  /** Batches that have not ended. */
  batches: most,
  /** Items of these batches. */
  items: most,
  /** Of their input files. */
  bytes: most,
  requests_per_second: most,
});
export type KeyQuota = z.infer<typeof KeyQuota>;

/** What is stored of an API key. Times in Unix seconds. */
export const KeyRecord = z.object({
  id: z.string(),
  tenant: Tenant,
  name: z.string(),
  /** The last four characters of the key, so that people can tell their keys apart. */
  hint: z.string(),
  /** Name of a content policy that everything done with this key is judged by too. */
  policy: z.string().nullable().default(null),
  /** Opens what is the operator's (metrics, scaling, queues) and no tenant's data. */
  operator: z.boolean().default(false),
  quota: KeyQuota.default({}),
  created_at: z.number().int(),
  expires_at: z.number().int().nullable(),
  revoked_at: z.number().int().nullable(),
});
export type KeyRecord = z.infer<typeof KeyRecord>;

const KEY = /^bm_live_[A-Za-z0-9_-]{43}$/;

/** True if `key` has the form `createKey` gives: nothing else can be a key. */
export function isKey(key: string): boolean {
  return KEY.test(key);
}

/**
 * Lower-case hex SHA-256 of a key. A plain hash is enough: a key is 256 random bits, not a password that could be
 * guessed.
 */
export function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/** True while the key opens doors. */
export function isLive(record: KeyRecord, now = Date.now()): boolean {
  return record.revoked_at === null && (record.expires_at === null || record.expires_at * 1000 > now);
}

export function parseRecord(bytes: Uint8Array): KeyRecord {
  return KeyRecord.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
}
