import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { type Bucket, layout } from '@batchmill/bucket';

/** What a signed URL opens, for whom it was made, and until when (Unix seconds). */
export interface SignedFile {
  tenant: string;
  fileId: string;
  expires: number;
}

/**
 * Signs URLs at which the API gives one file without an API key, where the bucket has no signed URLs of its own. The key is
 * made once and kept in the bucket, so that whoever signs and whoever checks share it without a setting.
 */
export class UrlSigner {
  readonly #bucket: Bucket;
  #key: Promise<Uint8Array> | null = null;

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  /** The content of a file at the API's address, for `seconds`. */
  async sign(base: string, tenant: string, fileId: string, seconds: number): Promise<string> {
    const expires = Math.floor(Date.now() / 1000) + seconds;
    const url = new URL(`${base.replace(/\/$/, '')}/v1/files/${fileId}/content`);
    url.searchParams.set('tenant', tenant);
    url.searchParams.set('expires', String(expires));
    url.searchParams.set('signature', (await this.#mac({ tenant, fileId, expires })).toString('base64url'));
    return url.href;
  }

  /** Whether a URL with these was signed here, for exactly this file and time, which is not over. Takes as long for any signature. */
  async isGood(file: SignedFile, signature: string): Promise<boolean> {
    if (!Number.isSafeInteger(file.expires)) return false;
    const right = await this.#mac(file);
    const given = Buffer.from(signature, 'base64url');
    const same = given.length === right.length && timingSafeEqual(given, right);
    return same && file.expires * 1000 > Date.now();
  }

  async #mac({ tenant, fileId, expires }: SignedFile): Promise<Buffer> {
    this.#key ??= this.#readKey();
    try {
      // As JSON, in which no part can run into the next.
      const text = JSON.stringify(['GET', tenant, fileId, expires]);
      return createHmac('sha256', await this.#key)
        .update(text)
        .digest();
    } catch (error) {
      this.#key = null;
      throw error;
    }
  }

  async #readKey(): Promise<Uint8Array> {
    const there = await this.#bucket.get(layout.urlKey);
    if (there !== null) return there;
    await this.#bucket.create(layout.urlKey, randomBytes(32));
    const settled = await this.#bucket.get(layout.urlKey);
    if (settled === null) throw new Error('the key of signed URLs was deleted while it was made');
    return settled;
  }
}
