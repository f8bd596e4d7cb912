import { checkDepth, RequestError } from '@batchmill/contract';
import type { MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';

/** Refuses a JSON body over `maxBytes`, by its declared length or while it is read, and one that is nested too deep. */
export function jsonLimit(maxBytes: number): MiddlewareHandler {
  const limit = bodyLimit({
    maxSize: maxBytes,
    onError: () => {
      throw new RequestError(413, `The body is larger than the ${maxBytes} bytes allowed.`, {
        code: 'content_too_large',
      });
    },
  });
  return (c, next) =>
    limit(c, async () => {
      // Before any schema walks it. What is no JSON is refused by what reads it next.
      if (c.req.header('content-type') !== undefined) checkDepth(await c.req.json().catch(() => null));
      await next();
    });
}
