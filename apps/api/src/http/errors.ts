import { BucketUnavailableError } from '@batchmill/bucket';
import { RequestError } from '@batchmill/contract';
import type { Logger } from '@batchmill/telemetry';
import type { Context, ErrorHandler } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { Env } from '../deps.ts';

/** Seconds after which a client should ask again while the bucket or the queue is down. */
const RETRY_SECONDS = 5;

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
  // The openai SDK repeats a 409 unless told that repeating cannot help.
  if (error.status === 409) c.header('x-should-retry', 'false');
  if (error.status === 401) c.header('www-authenticate', 'Bearer');
  if (error.status === 429) c.header('retry-after', '1');
  if (error.status === 503) c.header('retry-after', String(RETRY_SECONDS));
  // The rest of a body that is too large will not be read.
  if (error.status === 413) c.header('connection', 'close');
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

const CONTENTFUL = [400, 401, 403, 404, 405, 409, 413, 415, 416, 422, 429, 500, 503] as const;
