import { type Bucket, layout } from '@batchmill/bucket';
import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import { z } from 'zod';
import type { JudgedSegment, Segment } from '../port.ts';

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

/**
 * Keeps what policies withhold, encrypted to a public key of the operator's (https://age-encryption.org/v1): workers can put it
 * in and cannot read it; the `age` tool can, with the identity.
 */
export class Quarantine {
  readonly #bucket: Bucket;
  readonly #recipient: string;

  constructor(bucket: Bucket, recipient: string) {
    this.#bucket = bucket;
    this.#recipient = recipient;
  }

  /** Stores the segments that were changed; resolves when they are in the bucket. @throws BucketUnavailableError */
  async keep(
    { tenant, batchId, position }: QuarantineEntry,
    customId: string,
    segments: readonly Segment[],
    judged: readonly JudgedSegment[],
  ): Promise<void> {
    const changed = segments.filter((_, i) => judged[i]?.blocked === true || judged[i]?.redacted === true);
    if (changed.length === 0) return;
    const content: Withheld = { custom_id: customId, segments: changed.map(({ id, text }) => ({ id, text })) };
    const encrypter = new Encrypter();
    encrypter.addRecipient(this.#recipient);
    await this.#bucket.put(
      layout.quarantine.item(tenant, batchId, position),
      await encrypter.encrypt(JSON.stringify(content)),
    );
  }
}

/** A new pair of keys: the identity reads, the recipient only puts in. */
export async function quarantineKeys(): Promise<{ identity: string; recipient: string }> {
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}

/** What is in quarantine, of a tenant or of all. */
export async function* listQuarantine(bucket: Bucket, tenant?: string): AsyncGenerator<QuarantineEntry> {
  const prefix = tenant === undefined ? layout.quarantine.prefix : layout.quarantine.ofTenant(tenant);
  for await (const { key } of bucket.list(prefix)) {
    const [, whose = '', batchId = '', file = ''] = key.split('/');
    yield { tenant: whose, batchId, position: Number(file.replace(/\.age$/, '')) };
  }
}

/** @returns `null` if there is nothing of that item. @throws Error if the identity is another one. */
export async function readQuarantine(
  bucket: Bucket,
  entry: QuarantineEntry,
  identity: string,
): Promise<Withheld | null> {
  const bytes = await bucket.get(layout.quarantine.item(entry.tenant, entry.batchId, entry.position));
  if (bytes === null) return null;
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  return Withheld.parse(JSON.parse(await decrypter.decrypt(bytes, 'text')));
}
