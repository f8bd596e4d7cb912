import { jsonBody, keyOfBody } from './json.ts';
import type { RawEvent, Source } from './port.ts';
import { requireHmac, type Secrets } from './secrets.ts';

/**
 * GitHub's webhooks and those that sign like it: `x-hub-signature-256`, an HMAC-SHA256 of the body.
 * https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries. They carry no time, so a replay cannot be
 * told by its age; it has the bytes of the first, and is folded into it.
 */
export function githubSource(secrets: Secrets): Source {
  return {
    verify: async (event) => {
      requireHmac(event, secrets, 'x-hub-signature-256');
      // What GitHub sends when a webhook is made, to see that somebody is there.
      if (event.headers['x-github-event'] === 'ping') return { events: [] };
      const body = jsonBody({ ...event, body: payloadOf(event) });
      // Not by `x-github-delivery`: it is not signed, and a replay could have another.
      return {
        events: [{ key: keyOfBody(event), type: event.headers['x-github-event'] ?? 'event', object: null, data: body }],
      };
    },
  };
}

/** GitHub posts JSON as such, or, as its form has it at first, as the field `payload` of a form. */
function payloadOf({ headers, body }: RawEvent): Uint8Array {
  if (!/^application\/x-www-form-urlencoded\b/i.test(headers['content-type'] ?? '')) return body;
  return Buffer.from(new URLSearchParams(Buffer.from(body).toString('utf8')).get('payload') ?? '');
}
