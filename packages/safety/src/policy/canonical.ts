import { createHash } from 'node:crypto';
import type { Policy } from './schema.ts';

/**
 * SHA-256, hexadecimal, of the whole resolved policy as canonical JSON: its name too, so that what is stored under a hash is
 * one thing. Two files that say the same in another order or with other comments have the same hash.
 */
export function policyHash(policy: Policy): string {
  return createHash('sha256').update(canonicalJson(policy)).digest('hex');
}

/**
 * JSON without white space and with the keys of every object in one order: that of their UTF-16 units, but array indices,
 * which JavaScript puts first, before the others.
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
    const keys = Object.keys(inner);
    return Object.fromEntries(keys.sort().map((key) => [key, Reflect.get(inner, key)]));
  });
}
