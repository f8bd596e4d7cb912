import { randomBytes } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import type { EndpointFact } from './endpoint.ts';

/** A new signing secret: `whsec_` and base64 of 32 random bytes (Standard Webhooks asks for 24 to 64). */
export function newSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}

/**
 * Headers of Standard Webhooks over exactly this body: one signature per secret in force, the newest first, so that a
 * receiver that still has the old secret goes on verifying while a rotation overlaps.
 *
 * @param now Unix milliseconds.
 */
export function signedHeaders(
  secrets: EndpointFact['secrets'],
  eventId: string,
  body: string,
  now: number,
): Record<string, string> {
  const at = new Date(now);
  const inForce = secrets.filter(({ until }) => until === null || until * 1000 > now);
  return {
    'webhook-id': eventId,
    'webhook-timestamp': String(Math.floor(now / 1000)),
    'webhook-signature': inForce.map(({ secret }) => new Webhook(secret).sign(eventId, at, body)).join(' '),
  };
}
