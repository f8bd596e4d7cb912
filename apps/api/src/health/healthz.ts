import { createRoute, z } from '@hono/zod-openapi';
import type { Api } from '../deps.ts';
import { json } from '../openapi.ts';

const route = createRoute({
  method: 'get',
  path: '/healthz',
  operationId: 'healthz',
  tags: ['Service'],
  summary: 'The process is alive',
  security: [],
  responses: { 200: json('Alive', z.object({ status: z.literal('ok') })) },
});

export function healthzRoute(api: Api): void {
  api.openapi(route, (c) => c.json({ status: 'ok' as const }, 200));
}
