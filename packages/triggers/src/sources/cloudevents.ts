import { z } from 'zod';
import { jsonBody } from './json.ts';
import {
  type EventObject,
  MOST_EVENTS,
  notReadable,
  type RawEvent,
  type Source,
  tooManyEvents,
  type VerifiedEvent,
} from './port.ts';
import { requireBearer, requireHmac, type Secrets } from './secrets.ts';

/** https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md */
const Attributes = z.object({
  specversion: z.literal('1.0'),
  id: z.string().min(1),
  source: z.string().min(1),
  type: z.string().min(1),
  subject: z.string().optional(),
  time: z.string().optional(),
});

/** Events of Google Cloud Storage (`google.cloud.storage.object.v1.finalized`), whose sizes are text. */
const StoredObject = z.object({
  bucket: z.string(),
  name: z.string(),
  size: z.coerce.number().nonnegative().optional(),
  etag: z.string().optional(),
  contentType: z.string().optional(),
});

/**
 * CloudEvents 1.0 over HTTP: structured (`application/cloudevents+json`), batched (`…-batch+json`), and binary (attributes in
 * `ce-` headers, the data as body). CloudEvents has no signature of its own: either the secret comes as bearer token, or an
 * HMAC of the body as `x-signature-256` (`sha256=<hex>`). A signature covers no headers, so binary events need the token.
 */
export function cloudEventsSource(secrets: Secrets): Source {
  return {
    verify: async (event) => {
      const type = (event.headers['content-type'] ?? '').toLowerCase();
      const binary = event.headers['ce-specversion'] !== undefined;
      if (event.headers['x-signature-256'] !== undefined && !binary) requireHmac(event, secrets, 'x-signature-256');
      else requireBearer(event, secrets);
      if (binary) return { events: [ofBinary(event)] };
      const body = jsonBody(event);
      if (type.startsWith('application/cloudevents-batch+json')) {
        if (!Array.isArray(body)) throw notReadable('a batch of CloudEvents must be an array');
        if (body.length > MOST_EVENTS) throw tooManyEvents();
        return { events: body.map(ofStructured) };
      }
      return { events: [ofStructured(body)] };
    },
  };
}

/** An event in structured mode. @throws RequestError 400 */
export function ofStructured(body: unknown): VerifiedEvent {
  const parsed = Attributes.safeParse(body);
  if (!parsed.success) throw notReadable('it is not a CloudEvent 1.0 (specversion, id, source, type)');
  return eventOf(parsed.data, body);
}

function ofBinary(event: RawEvent): VerifiedEvent {
  const named = Object.entries(event.headers).filter(([name]) => name.startsWith('ce-'));
  const attributes = Object.fromEntries(named.map(([name, value]) => [name.slice(3), decoded(value)]));
  const parsed = Attributes.safeParse(attributes);
  if (!parsed.success) throw notReadable('it is not a CloudEvent 1.0 (ce-specversion, ce-id, ce-source, ce-type)');
  return eventOf(parsed.data, { ...attributes, ...dataOf(event) });
}

/** The body of a binary event as structured mode has it: JSON and text as `data`, all else as `data_base64`. */
function dataOf(event: RawEvent): { data: unknown } | { data_base64: string } {
  const type = (event.headers['content-type'] ?? 'application/json').toLowerCase();
  if (event.body.length === 0) return { data: null };
  if (/^[^;]*[/+]json\b/.test(type)) return { data: jsonBody(event) };
  const bytes = Buffer.from(event.body);
  return type.startsWith('text/') ? { data: bytes.toString('utf8') } : { data_base64: bytes.toString('base64') };
}

function eventOf(attributes: z.infer<typeof Attributes>, data: unknown): VerifiedEvent {
  return { key: keyOf(attributes), type: attributes.type, object: objectOf(attributes.type, Object(data).data), data };
}

function objectOf(type: string, data: unknown): EventObject | null {
  const stored = StoredObject.safeParse(data);
  if (!type.startsWith('google.cloud.storage.') || !stored.success) return null;
  const { bucket, name, size = null, etag = null, contentType = null } = stored.data;
  return { bucket, key: name, size, etag, contentType, arrived: type.endsWith('.finalized') };
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
