import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { notVerified, type RawEvent } from './port.ts';

/** The secrets in force now: the newest, and while a rotation overlaps the one before. */
export type Secrets = () => readonly string[];

/** Whether two secrets are the same, in a time that says nothing about where they differ or how long they are. */
export function sameSecret(given: string, right: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(right));
}

/**
 * Checks `authorization: Bearer <secret>` (RFC 6750), or the secret alone in one of `headers`, where senders have no bearer.
 * @throws RequestError 401
 */
export function requireBearer({ headers }: RawEvent, secrets: Secrets, others: readonly string[] = []): void {
  // MinIO and SeaweedFS send what they are given, with or without the word before it.
  const bearer = headers.authorization?.replace(/^Bearer +/i, '').trim();
  const given = [bearer, ...others.map((name) => headers[name])].filter((one) => one !== undefined);
  if (!given.some((one) => secrets().some((secret) => sameSecret(one, secret)))) throw notVerified();
}

/** Checks a hex HMAC-SHA256 of the whole body, with or without `sha256=` before it. @throws RequestError 401 */
export function requireHmac(event: RawEvent, secrets: Secrets, header: string): void {
  const given = /^(?:sha256=)?([0-9a-f]{64})$/i.exec(event.headers[header] ?? '')?.[1]?.toLowerCase();
  const right = (secret: string) => createHmac('sha256', secret).update(event.body).digest('hex');
  if (given === undefined || !secrets().some((secret) => sameSecret(given, right(secret)))) throw notVerified();
}
