import { RequestError } from '@batchmill/contract';

/** A request as it came in, its body already bounded. */
export interface RawEvent {
  /** By lower-case name. */
  headers: Readonly<Record<string, string>>;
  body: Uint8Array;
  /** Unix milliseconds. */
  receivedAt: number;
}

/** An object in a store that an event is about. */
export interface EventObject {
  bucket: string;
  key: string;
  /** Bytes; `null` if the sender does not say. */
  size: number | null;
  etag: string | null;
  contentType: string | null;
  /** Whether the event says that the object is there now: put, copied, uploaded. Not: deleted, tagged, moved to another class. */
  arrived: boolean;
}

/** One event whose sender has been verified. */
export interface VerifiedEvent {
  /** The same for every delivery of the same event, and for no other: what makes two deliveries one item. */
  key: string;
  /** What the sender calls it: `ObjectCreated:Put`, `push`, `invoice.paid`. */
  type: string;
  object: EventObject | null;
  /** What the template's expressions see as `data`. JSON. */
  data: unknown;
}

/** What a verified request asks for: events, or that a subscription be confirmed by fetching a URL of the sender's. */
export type Verified = { events: VerifiedEvent[] } | { confirm: string };

export interface Source {
  /**
   * Checks who sent the request and reads its events.
   * @throws RequestError 401 if it is not from the sender or too old, 400 if it cannot be read. What was wrong with a
   * signature is not said: that would help to forge one.
   */
  verify(event: RawEvent): Promise<Verified>;
}

/** How long a signed request is good: what is older, or further ahead, is refused as a replay. */
export const TOLERANCE_SECONDS = 300;

export function notVerified(): RequestError {
  return new RequestError(
    401,
    'The event could not be verified: it is not signed by the sender this trigger was made for, or was sent too long ago.',
    { code: 'event_not_verified' },
  );
}

/** Most events of one request. */
export const MOST_EVENTS = 10_000;

export function tooManyEvents(): RequestError {
  return new RequestError(413, `A request may have ${MOST_EVENTS} events at most.`, { code: 'content_too_large' });
}

export function notReadable(what: string): RequestError {
  return new RequestError(400, `The event cannot be read: ${what}.`, { code: 'event_not_readable' });
}
