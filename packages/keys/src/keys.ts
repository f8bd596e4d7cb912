import { randomBytes } from 'node:crypto';
import { type Bucket, layout } from '@batchmill/bucket';
import { invalid, newId } from '@batchmill/contract';
import { z } from 'zod';
import { hashOf, KeyQuota, type KeyRecord, parseRecord, Tenant } from './record.ts';

const KeyCreate = z.strictObject({
  tenant: Tenant,
  name: z.string().min(1).max(100),
  /** Name of a content policy; whether there is one, the caller checks. */
  policy: z.string().min(1).max(63).optional(),
  operator: z.boolean().optional(),
  quota: KeyQuota.optional(),
  /** Unix seconds. */
  expiresAt: z.number().int().positive().optional(),
});
export type KeyCreate = z.input<typeof KeyCreate>;

/**
 * Creates an API key (`bm_live_` and 256 random bits). This is the only time the key itself exists outside the client:
 * the bucket keeps its SHA-256.
 *
 * @throws RequestError if the tenant or the name is not acceptable
 */
export async function createKey(bucket: Bucket, input: KeyCreate): Promise<{ key: string; record: KeyRecord }> {
  const parsed = KeyCreate.safeParse(input);
  if (!parsed.success) throw invalid(parsed.error);
  const { tenant, name, policy, operator, quota, expiresAt } = parsed.data;
  const key = `bm_live_${randomBytes(32).toString('base64url')}`;
  const now = Date.now();
  const record: KeyRecord = {
    id: newId('key_', now),
    tenant,
    name,
    hint: key.slice(-4),
    policy: policy ?? null,
    operator: operator ?? false,
    quota: quota ?? {},
    created_at: Math.floor(now / 1000),
    expires_at: expiresAt ?? null,
    revoked_at: null,
  };
  await bucket.put(layout.key(hashOf(key)), JSON.stringify(record));
  return { key, record };
}

/** All keys ever created, oldest first, with the revoked and expired ones. */
export async function listKeys(bucket: Bucket): Promise<KeyRecord[]> {
  const records: KeyRecord[] = [];
  for await (const stored of storedKeys(bucket)) records.push(stored.record);
  return records.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/**
 * Revokes a key by its id (`key_…`); `null` if there is none. Servers that have seen the key lately refuse it within
 * `KEY_CACHE_MS` (5 seconds). May be repeated.
 *
 * The record is the one object in the bucket that is written twice: the only change it can take is this one, so that
 * two revocations at once do no harm.
 */
export async function revokeKey(bucket: Bucket, id: string): Promise<KeyRecord | null> {
  for await (const { key, record } of storedKeys(bucket)) {
    if (record.id !== id) continue;
    if (record.revoked_at !== null) return record;
    const revoked = { ...record, revoked_at: Math.floor(Date.now() / 1000) };
    await bucket.put(key, JSON.stringify(revoked));
    return revoked;
  }
  return null;
}

/**
 * True once any key was created. Revoked keys count: taking the last key away must close the service, not open it to
 * everybody.
 */
export async function anyKeys(bucket: Bucket): Promise<boolean> {
  for await (const _ of bucket.list(layout.keyPrefix)) return true;
  return false;
}

async function* storedKeys(bucket: Bucket): AsyncGenerator<{ key: string; record: KeyRecord }> {
  for await (const { key } of bucket.list(layout.keyPrefix)) {
    const bytes = await bucket.get(key);
    if (bytes !== null) yield { key, record: parseRecord(bytes) };
  }
}
