import { RequestError } from '@batchmill/contract';
import type { NotFoundHandler } from 'hono';
import type { Api, Env } from '../deps.ts';
import { errorResponse } from './errors.ts';

/** Answers what no route took: 405 with `Allow` where the path exists for another method, else 404. */
export function notFound(api: Api): NotFoundHandler<Env> {
  let table: { method: string; path: RegExp }[] | undefined;
  return (c) => {
    table ??= routes(api);
    const { method, path } = c.req;
    const allowed = new Set(table.filter((r) => r.path.test(path)).map((r) => r.method));
    if (allowed.size === 0) {
      return errorResponse(
        c,
        new RequestError(404, `Unknown request URL: ${method} ${path}.`, { code: 'unknown_url' }),
      );
    }
    if (allowed.has('GET')) allowed.add('HEAD');
    const list = [...allowed].sort().join(', ');
    c.header('allow', list);
    return errorResponse(
      c,
      new RequestError(405, `Not allowed: ${method} ${path}. This URL takes ${list}.`, {
        code: 'method_not_allowed',
        type: 'invalid_request_error',
      }),
    );
  };
}

function routes(api: Api): { method: string; path: RegExp }[] {
  return api.routes
    .filter((route) => route.method !== 'ALL')
    .map((route) => ({ method: route.method, path: new RegExp(`^${route.path.replace(/:[^/]+/g, '[^/]+')}$`) }));
}
