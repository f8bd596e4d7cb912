import { z } from 'zod';
import { jsonBody } from './json.ts';
import { notReadable, type RawEvent, type Source, type VerifiedEvent } from './port.ts';
import { requireBearer, requireHmac } from './secrets.ts';

/** https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md */
const Attributes = z.object({
  specversion: z.literal('1.0'),
  id: z.string().min(1),
  source: z.string().min(1),
  type: z.string().min(1),
  subject: z.string().optional(),
  time: z.string().optional(),
});

/**
 * CloudEvents 1.0 over HTTP: structured (`application/cloudevents+json`), batched (`…-batch+json`), and binary (attributes in
 * `ce-` headers, any JSON as body). CloudEvents has no signature of its own: either the secret comes as bearer token, or an
 * HMAC of the body as `x-signature-256` (`sha256=<hex>`). A signature covers no headers, so binary events need the token.
 */
export function cloudEventsSource(secret: string): Source {
  return {
    verify: async (event) => {
      const type = (event.headers['content-type'] ?? '').toLowerCase();
      const binary = event.headers['ce-specversion'] !== undefined;
      if (event.headers['x-signature-256'] !== undefined && !binary) requireHmac(event, secret, 'x-signature-256');
      else requireBearer(event, secret);
      if (binary) return { events: [ofBinary(event)] };
      const body = jsonBody(event);
      if (type.startsWith('application/cloudevents-batch+json')) {
        if (!Array.isArray(body)) throw notReadable('a batch of CloudEvents must be an array');
        return { events: body.slice(0, 10_000).map(ofStructured) };
      }
      return { events: [ofStructured(body)] };
    },
  };
}

function ofStructured(body: unknown): VerifiedEvent {
  const parsed = Attributes.safeParse(body);
  if (!parsed.success) throw notReadable('it is not a CloudEvent 1.0 (specversion, id, source, type)');
  return { key: keyOf(parsed.data), type: parsed.data.type, object: null, data: body };
}

function ofBinary(event: RawEvent): VerifiedEvent {
  const named = Object.entries(event.headers).filter(([name]) => name.startsWith('ce-'));
  const attributes = Object.fromEntries(named.map(([name, value]) => [name.slice(3), decoded(value)]));
  const parsed = Attributes.safeParse(attributes);
  if (!parsed.success) throw notReadable('it is not a CloudEvent 1.0 (ce-specversion, ce-id, ce-source, ce-type)');
  const data = event.body.length === 0 ? null : jsonBody(event);
  return { key: keyOf(parsed.data), type: parsed.data.type, object: null, data: { ...attributes, data } };
}

/** The specification: source and id together are unique. */
const keyOf = ({ source, id }: z.infer<typeof Attributes>) => JSON.stringify([source, id]);

/** Header values are percent-encoded (HTTP Protocol Binding, 3.1.3.2). */
function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
