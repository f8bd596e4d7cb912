import { jsonBody, keyOfBody } from './json.ts';
import type { Source } from './port.ts';
import { requireHmac } from './secrets.ts';

/**
 * GitHub's webhooks and those that sign like it: `x-hub-signature-256`, an HMAC-SHA256 of the body.
 * https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries. They carry no time, so a replay cannot be
 * told by its age; it has the bytes of the first, and is folded into it.
 */
export function githubSource(secret: string): Source {
  return {
    verify: async (event) => {
      requireHmac(event, secret, 'x-hub-signature-256');
      const body = jsonBody(event);
      // Not by `x-github-delivery`: it is not signed, and a replay could have another.
      return {
        events: [{ key: keyOfBody(event), type: event.headers['x-github-event'] ?? 'event', object: null, data: body }],
      };
    },
  };
}
