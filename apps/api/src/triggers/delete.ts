import { deleteTrigger } from '@batchmill/triggers';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';
import { noTrigger } from './errors.ts';

const Deleted = z
  .object({ id: z.string(), object: z.literal('trigger'), deleted: z.literal(true) })
  .meta({ id: 'TriggerDeleted' });

const route = createRoute({
  method: 'delete',
  path: '/v1/triggers/{trigger_id}',
  operationId: 'deleteTrigger',
  tags: ['Triggers'],
  summary: 'Delete a trigger',
  description: 'Its events are refused within 5 seconds. What was accepted becomes a batch all the same.',
  request: { params: z.object({ trigger_id: z.string() }) },
  responses: { 200: json('It is gone', Deleted), ...ANY_ERROR, 404: ERROR[404] },
});

export function deleteTriggerRoute(api: Api, { bucket }: Deps): void {
  api.openapi(route, async (c) => {
    const id = c.req.valid('param').trigger_id;
    if (!(await deleteTrigger(bucket, c.get('tenant'), id))) throw noTrigger(id);
    return c.json({ id, object: 'trigger' as const, deleted: true as const }, 200);
  });
}
