import { createHash, timingSafeEqual } from 'node:crypto';
import { RequestError } from '@batchmill/contract';
import type { MiddlewareHandler } from 'hono';
import type { Deps, Env } from '../deps.ts';
import { assertLocalRequest } from './loopback.ts';

/**
 * Lets operators in and nobody else: with `OPERATOR_KEY` or a key made by `batchmill keys create --operator`, as a bearer token or,
 * for browsers, as the password of HTTP Basic (whatever the name). A service without keys answers local requests, as everywhere.
 *
 * @param browsers a page that people open: it asks for the password.
 */
export function operatorOnly(
  { access, operatorKey }: Pick<Deps, 'access' | 'operatorKey'>,
  { browsers = false } = {},
): MiddlewareHandler<Env> {
  return async (c, next) => {
    const authorization = bearer(c.req.header('authorization'));
    if (operatorKey !== null && same(authorization, `Bearer ${operatorKey}`)) return next();
    if (await access.open()) {
      assertLocalRequest(c.req.header('host'), c.req.header('origin'));
      return next();
    }
    try {
      const { operator } = await access.opened(authorization);
      if (!operator)
        throw new RequestError(
          403,
          "This is for operators: use OPERATOR_KEY, or a key made with 'batchmill keys create --operator'.",
          {
            code: 'operator_only',
          },
        );
    } catch (error) {
      if (!browsers || !(error instanceof RequestError) || error.status !== 401) throw error;
      return c.text('An operator key is needed as the password; any user name will do.', 401, {
        'www-authenticate': 'Basic realm="Batchmill operators", charset="UTF-8"',
      });
    }
    await next();
  };
}

/** Compared by hash: how long it takes tells nothing. */
function same(given: string | undefined, wanted: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest();
  return given !== undefined && timingSafeEqual(hash(given), hash(wanted));
}

/** The header as a bearer token, if it is the password of HTTP Basic (RFC 7617). */
function bearer(authorization: string | undefined): string | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/=_-]+) *$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return authorization;
  const [, ...password] = Buffer.from(encoded, 'base64').toString('utf8').split(':');
  return `Bearer ${password.join(':')}`;
}
