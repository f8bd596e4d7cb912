import type { Bucket } from '@batchmill/bucket';
import { RequestError } from '@batchmill/contract';
import type { UrlSigner } from '@batchmill/files';
import { anyKeys, createVerifier, KEY_CACHE_MS, type KeyRecord } from '@batchmill/keys';
import type { HonoRequest, MiddlewareHandler } from 'hono';
import type { Env } from '../deps.ts';
import { assertLocalRequest } from './loopback.ts';
import { NO_LIMITS, quotaOf, type RequestQuota } from './quota.ts';

/** The tenant of a service that has no API keys. */
export const DEFAULT_TENANT = 'default';

/** Decides who may use the API. */
export interface Access {
  /** True while no API key was ever created: then everybody who can reach the port may use the API. */
  open(): Promise<boolean>;
  /** What an `Authorization` header opens: a tenant's data, under a content policy. @throws RequestError 401 */
  opened(authorization: string | undefined): Promise<Opened>;
}

/** What a key opens, and with what quota. `operator`: the operator's routes, and no tenant's data. */
export type Opened = Pick<KeyRecord, 'id' | 'tenant' | 'policy' | 'operator' | 'quota'>;

/**
 * Access by the API keys in the bucket. The first key that is created closes an open service within `cacheMs` (default: `KEY_CACHE_MS`, 5 s),
 * and a key that is revoked opens nothing after that time.
 */
export function createAccess(bucket: Bucket, { cacheMs = KEY_CACHE_MS }: { cacheMs?: number } = {}): Access {
  const verifier = createVerifier(bucket, { cacheMs });
  let keyed = false;
  let askedAt = Number.NEGATIVE_INFINITY;
  return {
    open: async () => {
      if (keyed) return false;
      if (performance.now() - askedAt > cacheMs) {
        // Keys are never deleted, so this answer can change in one direction only.
        keyed = await anyKeys(bucket);
        askedAt = performance.now();
      }
      return !keyed;
    },
    opened: async (authorization) => {
      const key = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
      if (key === undefined) {
        throw new RequestError(401, "No API key was given. Send it as 'Authorization: Bearer bm_live_…'.", {
          code: 'missing_api_key',
        });
      }
      const record = await verifier.verify(key);
      if (record === null) {
        throw new RequestError(401, 'The API key is wrong, revoked or has expired.', { code: 'invalid_api_key' });
      }
      return record;
    },
  };
}

const CONTENT = /^\/v1\/files\/([^/]+)\/content$/;
const EVENTS = /^\/v1\/triggers\/[^/]+\/events$/;
/** What answers operators only: see `operator.ts`. */
const OPERATORS = /^\/v1\/autoscale\//;

/** Whose file a signed URL opens; `null` if the request has none. @throws RequestError 403 if it is altered or over */
async function ofSignedUrl(request: HonoRequest, urls: UrlSigner): Promise<string | null> {
  const fileId = CONTENT.exec(request.path)?.[1];
  const signature = request.query('signature');
  if (fileId === undefined || signature === undefined || !['GET', 'HEAD'].includes(request.method)) return null;
  const tenant = request.query('tenant') ?? '';
  const expires = request.query('expires') ?? '';
  const good =
    /^\d{1,12}$/.test(expires) && (await urls.isGood({ tenant, fileId, expires: Number(expires) }, signature));
  if (!good)
    throw new RequestError(403, 'This signed URL was altered or is over. Download the file with an API key.', {
      code: 'signed_url_invalid',
    });
  return tenant;
}

/** Sets the tenant of a request and what its key may do, or refuses it. `quota`: of keys that have none of their own. */
export function authenticate(access: Access, urls: UrlSigner, quota: RequestQuota): MiddlewareHandler<Env> {
  return async (c, next) => {
    // Events have no API key: their sender proves by its signature who it is.
    if (OPERATORS.test(c.req.path)) return next();
    if (['POST', 'OPTIONS'].includes(c.req.method) && EVENTS.test(c.req.path)) return next();
    const signed = await ofSignedUrl(c.req, urls);
    if (signed !== null) {
      c.set('tenant', signed);
      c.set('policy', null);
      c.set('key', null);
      c.set('quota', NO_LIMITS);
      return next();
    }
    if (await access.open()) {
      assertLocalRequest(c.req.header('host'), c.req.header('origin'));
      c.set('tenant', DEFAULT_TENANT);
      c.set('policy', null);
      c.set('key', null);
      c.set('quota', quota);
    } else {
      const key = await access.opened(c.req.header('authorization'));
      if (key.operator)
        throw new RequestError(403, "This is an operator's key: it opens no files and batches. Use a tenant's key.", {
          code: 'operator_key',
        });
      c.set('tenant', key.tenant);
      c.set('policy', key.policy);
      c.set('key', key.id);
      c.set('quota', quotaOf(key.quota, quota));
    }
    await next();
  };
}
