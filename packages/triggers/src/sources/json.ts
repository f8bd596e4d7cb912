import { createHash } from 'node:crypto';
import { z } from 'zod';
import { notReadable, type RawEvent } from './port.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });
/** Deeper JSON serves no event, and recursion over it would end the process. */
const DEEPEST = 64;

/** The body as JSON. @throws RequestError 400 */
export function jsonBody({ body }: RawEvent): unknown {
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(body));
  } catch {
    throw notReadable('the body is not JSON in UTF-8');
  }
  if (deeperThan(value, DEEPEST)) throw notReadable(`the body is nested more than ${DEEPEST} deep`);
  return value;
}

function deeperThan(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (depth === 0) return true;
  return Object.values(value).some((one) => deeperThan(one, depth - 1));
}

const Typed = z.object({ type: z.string() });

/** What a body says it is, by `type`; `event` if it does not. */
export function typeOf(body: unknown): string {
  const typed = Typed.safeParse(body);
  return typed.success ? typed.data.type : 'event';
}

/** A key for what has no id of its own: the same bytes are the same event. */
export function keyOfBody({ body }: RawEvent): string {
  return `sha256:${createHash('sha256').update(body).digest('hex')}`;
}
