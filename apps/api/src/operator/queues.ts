import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import type { Queues } from '@batchmill/queue';
import { Hono } from 'hono';
import type { Api, Deps } from '../deps.ts';
import { operatorOnly } from '../http/operator.ts';

const AT = '/operator/queues';

/**
 * Bull Board, for operators: the jobs in the queues. It shows and changes nothing: jobs are pointers, so there is nothing in them to
 * mend, and a browser that knows the password would send it along with the forms of strange pages. Loaded when somebody first asks.
 */
export function queuesRoute(api: Api, deps: Deps): void {
  const { queues } = deps;
  if (queues === null) return;
  let board: Promise<Hono> | null = null;
  const load = () => {
    board ??= boardOf(queues);
    return board;
  };
  const guard = operatorOnly(deps, { browsers: true });
  for (const path of [AT, `${AT}/*`])
    api.get(path, guard, async (c) => {
      const shown = await (await load()).fetch(c.req.raw, c.env);
      const isPage = shown.headers.get('content-type')?.startsWith('text/html') === true;
      // Its page would fetch fonts from elsewhere: what an operator looks at is nobody else's business.
      const body = isPage ? (await shown.text()).replaceAll(/<link [^>]*"https:[^>]*>/g, '') : shown.body;
      const response = new Response(body, { status: shown.status, headers: shown.headers });
      response.headers.delete('content-length');
      response.headers.set('content-security-policy', CSP);
      return response;
    });
}

/** Its page has styles of its own; all else it loads from here. */
const CSP =
  "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; frame-ancestors 'none'; base-uri 'self'; form-action 'none'";

async function boardOf(queues: Pick<Queues, 'bull'>): Promise<Hono> {
  const [{ createBullBoard }, { BullMQAdapter }, { HonoAdapter }, { serveStatic }] = await Promise.all([
    import('@bull-board/api'),
    import('@bull-board/api/bullMQAdapter'),
    import('@bull-board/hono'),
    import('@hono/node-server/serve-static'),
  ]);
  const server = new HonoAdapter(serveStatic);
  createBullBoard({
    queues: queues.bull().map((queue) => new BullMQAdapter(queue, { readOnlyMode: true })),
    serverAdapter: server,
    options: {
      uiBasePath: dirname(createRequire(import.meta.url).resolve('@bull-board/ui/package.json')),
      uiConfig: { boardTitle: 'Batchmill' },
    },
  });
  server.setBasePath(AT);
  return new Hono().route(AT, server.registerPlugin());
}
