import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { notVerified, type RawEvent } from './port.ts';

/** Whether two secrets are the same, in a time that says nothing about where they differ or how long they are. */
export function sameSecret(given: string, right: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(right));
}

/**
 * Checks `authorization: Bearer <secret>` (RFC 6750), or the secret alone in one of `headers`, where senders have no bearer.
 * @throws RequestError 401
 */
export function requireBearer({ headers }: RawEvent, secret: string, others: readonly string[] = []): void {
  // MinIO and SeaweedFS send what they are given, with or without the word before it.
  const bearer = headers.authorization?.replace(/^Bearer +/i, '').trim();
  const given = [bearer, ...others.map((name) => headers[name])];
  if (!given.some((one) => one !== undefined && sameSecret(one, secret))) throw notVerified();
}

/** Checks a hex HMAC-SHA256 of the whole body, with or without `sha256=` before it. @throws RequestError 401 */
export function requireHmac(event: RawEvent, secret: string, header: string): void {
  const given = /^(?:sha256=)?([0-9a-f]{64})$/i.exec(event.headers[header] ?? '')?.[1];
  const right = createHmac('sha256', secret).update(event.body).digest('hex');
  if (given === undefined || !sameSecret(given.toLowerCase(), right)) throw notVerified();
}
