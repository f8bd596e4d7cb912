import { Webhook } from 'standardwebhooks';
import { jsonBody, typeOf } from './json.ts';
import { notVerified, type RawEvent, type Source, TOLERANCE_SECONDS } from './port.ts';
import type { Secrets } from './secrets.ts';

/**
 * Standard Webhooks (https://www.standardwebhooks.com): `webhook-id`, `webhook-timestamp`, `webhook-signature`. Svix, whose
 * signatures the standard has taken over, names the same headers `svix-…`.
 */
export function standardWebhooksSource(secrets: Secrets): Source {
  return {
    async verify(event) {
      const headers = named(event, 'webhook') ?? named(event, 'svix');
      if (headers === null) throw notVerified();
      const { 'webhook-id': id, 'webhook-timestamp': timestamp } = headers;
      // The library knows the time only as now; a request that waited is judged by when it came.
      const age = event.receivedAt / 1000 - Number(timestamp);
      if (!(Math.abs(age) <= TOLERANCE_SECONDS)) throw notVerified();
      const body = Buffer.from(event.body);
      if (!secrets().some((secret) => isSigned(secret, body, headers))) throw notVerified();
      const json = jsonBody(event);
      return { events: [{ key: id, type: typeOf(json), object: null, data: json }] };
    },
  };
}

function named({ headers }: RawEvent, by: 'webhook' | 'svix') {
  const id = headers[`${by}-id`];
  const timestamp = headers[`${by}-timestamp`];
  const signature = headers[`${by}-signature`];
  if (id === undefined || id === '' || timestamp === undefined || signature === undefined) return null;
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature };
}

function isSigned(secret: string, body: Buffer, headers: Record<string, string>): boolean {
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch {
    return false;
  }
}
