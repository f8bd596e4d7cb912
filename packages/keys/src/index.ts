export { anyKeys, createKey, type KeyCreate, listKeys, revokeKey } from './keys.ts';
export { isLive, KeyQuota, type KeyRecord, Tenant } from './record.ts';
export { createVerifier, KEY_CACHE_MS, type Verifier } from './verifier.ts';
