import { newId } from '@batchmill/contract';
import type { Logger } from '@batchmill/telemetry';
import type { MiddlewareHandler } from 'hono';
import type { Env } from '../deps.ts';

const SAFE = /^[\w.:-]{1,100}$/;

/**
 * Gives every request an id of our own, on the response and in the log. A client's `X-Request-Id` is only noted beside
 * it, if it is harmless: it may be forged, and repeated.
 */
export function requestLog(logger: Logger): MiddlewareHandler<Env> {
  return async (c, next) => {
    const requestId = newId('req_');
    const started = performance.now();
    c.set('requestId', requestId);
    await next();
    c.res.headers.set('x-request-id', requestId);
    const theirs = c.req.header('x-request-id');
    logger.info(
      {
        requestId,
        ...(theirs !== undefined && SAFE.test(theirs) ? { clientRequestId: theirs } : {}),
        tenant: c.get('tenant'),
        method: c.req.method,
        path: c.req.path,
        status: c.res.status,
        ms: Math.round(performance.now() - started),
      },
      'request',
    );
  };
}
