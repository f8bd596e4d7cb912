import { BucketUnavailableError } from '@batchmill/bucket';
import { RequestError } from '@batchmill/contract';
import type { Logger } from '@batchmill/telemetry';
import type { Context, ErrorHandler } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { Env } from '../deps.ts';

/** Whether asking again may help, and after how many seconds, where the error does not say so itself. */
const AGAIN: Readonly<Record<number, { retry: boolean; seconds: number }>> = {
  409: { retry: false, seconds: 0 },
  429: { retry: true, seconds: 1 },
  503: { retry: true, seconds: 5 },
};

/** Turns whatever a route throws into the wire's error shape. What is not the client's doing is logged, and told to no one. */
export function onError(logger: Logger): ErrorHandler<Env> {
  return (error, c) => {
    const known = toRequestError(error);
    if (known !== null && known.status < 500) return errorResponse(c, known);
    const requestId = c.get('requestId');
    const context = { err: error, requestId, method: c.req.method, path: c.req.path };
    if (known !== null) {
      logger.warn(context, 'the service cannot work');
      return errorResponse(c, known);
    }
    logger.error(context, 'unexpected error');
    return errorResponse(
      c,
      new RequestError(500, `The server had an error with this request (${requestId}). Its log says why.`),
    );
  };
}

/** The response for an error that has a place on the wire. */
export function errorResponse(c: Context<Env>, error: RequestError): Response {
  if (error.status === 401) c.header('www-authenticate', 'Bearer');
  // The openai SDK repeats 409 and 429 unless told that repeating cannot help.
  const again = error.again ?? AGAIN[error.status];
  if (again !== undefined) {
    c.header('x-should-retry', String(again.retry));
    if (again.seconds > 0) c.header('retry-after', String(Math.ceil(again.seconds)));
  }
  // The rest of a body that is too large will not be read.
  if (error.status === 413 || error.status === 408) c.header('connection', 'close');
  return c.json(error.body(), contentful(error.status));
}

function toRequestError(error: Error): RequestError | null {
  if (error instanceof RequestError) return error;
  if (isUnavailable(error)) {
    return new RequestError(
      503,
      'The service cannot reach its storage or queue right now. Try again in a few seconds.',
      {
        code: 'unavailable',
      },
    );
  }
  if (!(error instanceof HTTPException)) return null;
  if (error.status === 415) {
    return new RequestError(415, "The body must be JSON: send 'Content-Type: application/json'.", {
      code: 'unsupported_media_type',
    });
  }
  if (error.status === 400) {
    return new RequestError(400, 'The JSON body of the request could not be parsed.', { code: 'invalid_json' });
  }
  return null;
}

function isUnavailable(error: Error): boolean {
  return error instanceof BucketUnavailableError || error.name === 'QueueUnavailableError';
}

function contentful(status: number): ContentfulStatusCode {
  const known = CONTENTFUL.find((s) => s === status);
  return known ?? 500;
}

const CONTENTFUL = [400, 401, 403, 404, 405, 408, 409, 413, 415, 416, 422, 429, 500, 503] as const;
