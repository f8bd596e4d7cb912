import { Webhook } from 'standardwebhooks';
import { z } from 'zod';
import { jsonBody } from './json.ts';
import { notReadable, notVerified, type Source, TOLERANCE_SECONDS } from './port.ts';

/** Standard Webhooks (https://www.standardwebhooks.com): `webhook-id`, `webhook-timestamp`, `webhook-signature`. */
export function standardWebhooksSource(secret: string): Source {
  const webhook = new Webhook(secret);
  return {
    async verify(event) {
      const { 'webhook-id': id, 'webhook-timestamp': timestamp } = event.headers;
      // The library knows the time only as now; a request that waited is judged by when it came.
      const age = event.receivedAt / 1000 - Number(timestamp);
      if (id === undefined || !(Math.abs(age) <= TOLERANCE_SECONDS)) throw notVerified();
      try {
        webhook.verify(Buffer.from(event.body), { ...event.headers });
      } catch {
        throw notVerified();
      }
      const body = jsonBody(event);
      const type = z.object({ type: z.string() }).safeParse(body);
      return { events: [{ key: id, type: type.success ? type.data.type : 'event', object: null, data: body }] };
    },
  };
}

/** Whether a secret can be one: `whsec_` and 24 to 64 bytes in base64. */
export function checkStandardSecret(secret: string): void {
  const bytes = /^whsec_[A-Za-z0-9+/]+=*$/.test(secret) ? Buffer.from(secret.slice(6), 'base64').length : 0;
  if (bytes < 24 || bytes > 64) throw notReadable('the secret is not whsec_ and 24 to 64 bytes in base64');
}
