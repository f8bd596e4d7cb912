import { TriggerObject } from '@batchmill/contract';
import { listTriggers } from '@batchmill/triggers';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { ANY_ERROR, json } from '../openapi.ts';

const route = createRoute({
  method: 'get',
  path: '/v1/triggers',
  operationId: 'listTriggers',
  tags: ['Triggers'],
  summary: 'All triggers, oldest first',
  responses: {
    200: json(
      'The triggers',
      z.object({ object: z.literal('list'), data: z.array(TriggerObject) }).meta({ id: 'TriggerList' }),
    ),
    ...ANY_ERROR,
  },
});

export function listTriggersRoute(api: Api, { bucket }: Deps): void {
  api.openapi(route, async (c) =>
    c.json({ object: 'list' as const, data: await listTriggers(bucket, c.get('tenant')) }, 200),
  );
}
