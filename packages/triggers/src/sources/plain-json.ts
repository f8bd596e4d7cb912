import { jsonBody, keyOfBody, typeOf } from './json.ts';
import type { Source } from './port.ts';
import { requireBearer, type Secrets } from './secrets.ts';

/**
 * Any JSON with the secret as bearer token: scripts, forms, Zapier and its like. `idempotency-key` (or `x-event-id`) names
 * the event; without one, the same bytes are the same event.
 */
export function plainJsonSource(secrets: Secrets): Source {
  return {
    verify: async (event) => {
      requireBearer(event, secrets, ['x-api-key']);
      const body = jsonBody(event);
      const id = event.headers['idempotency-key'] ?? event.headers['x-event-id'];
      const key = id === undefined || id === '' ? keyOfBody(event) : `id:${id.slice(0, 1_000)}`;
      return { events: [{ key, type: typeOf(body), object: null, data: body }] };
    },
  };
}
