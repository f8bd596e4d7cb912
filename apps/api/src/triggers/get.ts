import { TriggerObject } from '@batchmill/contract';
import { getTrigger } from '@batchmill/triggers';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';
import { noTrigger } from './errors.ts';

const route = createRoute({
  method: 'get',
  path: '/v1/triggers/{trigger_id}',
  operationId: 'getTrigger',
  tags: ['Triggers'],
  summary: 'Describe a trigger',
  request: { params: z.object({ trigger_id: z.string() }) },
  responses: { 200: json('The trigger', TriggerObject), ...ANY_ERROR, 404: ERROR[404] },
});

export function getTriggerRoute(api: Api, { bucket }: Deps): void {
  api.openapi(route, async (c) => {
    const id = c.req.valid('param').trigger_id;
    const found = await getTrigger(bucket, c.get('tenant'), id);
    if (found === null) throw noTrigger(id);
    return c.json(found, 200);
  });
}
