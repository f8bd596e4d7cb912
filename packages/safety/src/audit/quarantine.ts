import { randomBytes } from 'node:crypto';
import { type Bucket, layout, parseQuarantined } from '@batchmill/bucket';
import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import { z } from 'zod';
import type { JudgedSegment, Segment } from '../port.ts';
import { persist } from './persist.ts';

/** What was withheld or masked of one item, as the model wrote it. */
export const Withheld = z.strictObject({
  custom_id: z.string(),
  segments: z.array(z.strictObject({ id: z.string(), text: z.string() })),
});
export type Withheld = z.infer<typeof Withheld>;

/** An item in quarantine. */
export interface QuarantineEntry {
  tenant: string;
  batchId: string;
  position: number;
}

/** The identity is none, or not the one that what is in quarantine was encrypted to. */
export class IdentityError extends Error {
  override readonly name = 'IdentityError';
}

/**
 * Keeps what policies withhold, encrypted to a public key of the operator's (https://age-encryption.org/v1): workers can put it
 * in and cannot read it; the `age` tool can, with the identity.
 */
export class Quarantine {
  readonly #bucket: Bucket;
  readonly #encrypter = new Encrypter();
  readonly #writer = randomBytes(6).toString('hex');
  #sequence = 0;

  /** @throws IdentityError if the recipient is no public key, so that a worker with a mistyped one does not start. */
  constructor(bucket: Bucket, recipient: string) {
    this.#bucket = bucket;
    try {
      this.#encrypter.addRecipient(recipient);
    } catch (error) {
      const message = 'QUARANTINE_RECIPIENT is no age public key. Make one with: batchmill quarantine keygen';
      throw new IdentityError(message, { cause: error });
    }
  }

  /**
   * Stores the segments that were changed; resolves when they are in the bucket. An item that is done again is stored again:
   * nothing is replaced.
   * @throws BucketUnavailableError
   */
  async keep(
    { tenant, batchId, position }: QuarantineEntry,
    customId: string,
    segments: readonly Segment[],
    judged: readonly JudgedSegment[],
  ): Promise<void> {
    const blocked = new Set(judged.flatMap((one) => (one.blocked ? [wholeOf(one.id)] : [])));
    const withheld = segments.filter(({ id }, i) => judged[i]?.redacted === true || blocked.has(wholeOf(id)));
    if (withheld.length === 0) return;
    const content: Withheld = { custom_id: customId, segments: withheld.map(({ id, text }) => ({ id, text })) };
    const encrypted = await this.#encrypter.encrypt(JSON.stringify(content));
    const name = { at: Date.now(), writer: this.#writer, sequence: this.#sequence++ };
    const key = layout.quarantine.item(tenant, batchId, position, name);
    await persist(() => this.#bucket.create(key, encrypted));
  }
}

/** A blocked text takes its whole choice with it: content, reasoning and tool calls. Other texts stand alone. */
function wholeOf(segmentId: string): string {
  return /^choices\.\d+\./.exec(segmentId)?.[0] ?? segmentId;
}

/** A new pair of keys: the identity reads, the recipient only puts in. */
export async function quarantineKeys(): Promise<{ identity: string; recipient: string }> {
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}

/** The identities of a file: one a line, with comments, as `keygen` and `age-keygen` write it. @throws IdentityError if there is none. */
export function identitiesOf(file: string): string[] {
  const lines = file.split('\n').map((line) => line.trim());
  const identities = lines.filter((line) => line !== '' && !line.startsWith('#'));
  if (identities.length === 0) throw new IdentityError('The file has no identity in it: a line AGE-SECRET-KEY-….');
  return identities;
}

/** Items in quarantine, of a tenant or of all, each once. */
export async function* listQuarantine(bucket: Bucket, tenant?: string): AsyncGenerator<QuarantineEntry> {
  const prefix = tenant === undefined ? layout.quarantine.prefix : layout.quarantine.ofTenant(tenant);
  let last = '';
  for await (const { key } of bucket.list(prefix)) {
    const name = parseQuarantined(key);
    if (name === null) continue;
    const entry = { tenant: name.tenant, batchId: name.batch, position: name.position };
    if (JSON.stringify(entry) === last) continue;
    last = JSON.stringify(entry);
    yield entry;
  }
}

/**
 * What was withheld of an item, oldest first: more than one if it was done again after a crash; none if nothing was.
 * @throws IdentityError if none of the identities can read it.
 */
export async function readQuarantine(
  bucket: Bucket,
  { tenant, batchId, position }: QuarantineEntry,
  identities: readonly string[],
): Promise<Withheld[]> {
  const decrypter = new Decrypter();
  try {
    for (const identity of identities) decrypter.addIdentity(identity);
  } catch (error) {
    throw new IdentityError('This is no age identity: it must be like AGE-SECRET-KEY-1….', { cause: error });
  }
  const all: Withheld[] = [];
  for await (const { key } of bucket.list(layout.quarantine.ofItem(tenant, batchId, position))) {
    const bytes = await bucket.get(key);
    if (bytes === null) continue;
    let text: string;
    try {
      text = await decrypter.decrypt(bytes, 'text');
    } catch (error) {
      throw new IdentityError(`${key} cannot be decrypted with this identity.`, { cause: error });
    }
    all.push(Withheld.parse(JSON.parse(text)));
  }
  return all;
}

/** Deletes what was put in before a day, `2026-11-25`. Nothing does so by itself. */
export async function pruneQuarantine(bucket: Bucket, before: string): Promise<number> {
  const time = Date.parse(before);
  let deleted = 0;
  for await (const { key } of bucket.list(layout.quarantine.prefix)) {
    const name = parseQuarantined(key);
    if (name === null || name.at >= time) continue;
    await bucket.delete(key);
    deleted++;
  }
  return deleted;
}
