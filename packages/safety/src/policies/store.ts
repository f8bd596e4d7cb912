import { type Bucket, layout, ObjectMissingError } from '@batchmill/bucket';
import { Policy, policyHash } from '../policy/index.ts';

/** What this process knows to be stored: policies are few and never removed, and every batch names one. */
const stored = new WeakMap<Bucket, Set<string>>();

/**
 * Stores a resolved policy under its hash and gives the hash. A batch names it, so that its items are judged by the policy
 * as it was when the batch was accepted, by workers that need no policy files.
 */
export async function storePolicy(bucket: Bucket, policy: Policy): Promise<string> {
  const hash = policyHash(policy);
  const known = stored.get(bucket) ?? new Set<string>();
  stored.set(bucket, known);
  if (known.has(hash)) return hash;
  await bucket.create(layout.policy(hash), JSON.stringify(policy));
  known.add(hash);
  return hash;
}

/** @throws ObjectMissingError if no policy has this hash; Error if what is stored has another: it was tampered with. */
export async function readPolicy(bucket: Bucket, hash: string): Promise<Policy> {
  const bytes = await bucket.get(layout.policy(hash));
  if (bytes === null) throw new ObjectMissingError(`the policy ${hash} is missing`);
  const policy = Policy.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  if (policyHash(policy) !== hash) throw new Error(`the policy stored as ${hash} is another one`);
  return policy;
}
