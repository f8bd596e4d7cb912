import { newId } from '@batchmill/contract';
import { annotate, type Logger, metrics, seconds, serverSpan } from '@batchmill/telemetry';
import type { MiddlewareHandler } from 'hono';
import { routePath } from 'hono/route';
import type { Env } from '../deps.ts';

const SAFE = /^[\w.:-]{1,100}$/;
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
/** Asked every few seconds by machines. */
const UNTRACED = new Set(['/healthz', '/readyz', '/metrics']);

/** A path that no route took may be anything, so it has one name for all. */
function routeOf(path: string): string {
  return path === '' || path.endsWith('*') ? 'none' : path;
}

/**
 * Gives every request an id of our own, on the response and in the log. A client's `X-Request-Id` is only noted beside
 * it, if it is harmless: it may be forged, and repeated. Takes the time of every request, and opens its span.
 */
export function requestLog(logger: Logger): MiddlewareHandler<Env> {
  return async (c, next) => {
    const requestId = newId('req_');
    const taken = seconds();
    const { method } = c.req;
    c.set('requestId', requestId);
    const respond = async () => {
      await next();
      const route = routeOf(routePath(c, -1));
      const { status } = c.res;
      const attributes = { 'http.route': route, 'http.response.status_code': status, 'batchmill.request': requestId };
      annotate(attributes, `${method} ${route}`);
      metrics.httpSeconds.observe({ method: METHODS.has(method) ? method : 'other', route, status }, taken());
      c.res.headers.set('x-request-id', requestId);
      const theirs = c.req.header('x-request-id');
      logger.info(
        {
          requestId,
          ...(theirs !== undefined && SAFE.test(theirs) ? { clientRequestId: theirs } : {}),
          ...c.get('about'),
          tenant: c.get('tenant'),
          method,
          path: c.req.path,
          status: c.res.status,
          ms: Math.round(taken() * 1000),
        },
        'request',
      );
    };
    if (UNTRACED.has(c.req.path)) await respond();
    else await serverSpan(method, c.req.header(), { 'http.request.method': method }, respond);
  };
}
