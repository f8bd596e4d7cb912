import { TriggerObject, TriggerUpdate } from '@batchmill/contract';
import { updateTrigger } from '@batchmill/triggers';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { jsonLimit } from '../http/json-limit.ts';
import { ANY_ERROR, BODY_ERROR, ERROR, json, jsonBody } from '../openapi.ts';
import { noTrigger } from './errors.ts';

export function updateTriggerRoute(api: Api, { bucket, limits, policies }: Deps): void {
  const route = createRoute({
    method: 'post',
    path: '/v1/triggers/{trigger_id}',
    operationId: 'updateTrigger',
    tags: ['Triggers'],
    summary: 'Change a trigger',
    description: 'What is left out stays. In force everywhere within 5 seconds.',
    middleware: jsonLimit(limits.jsonBytes),
    request: {
      params: z.object({ trigger_id: z.string() }),
      body: jsonBody(TriggerUpdate),
    },
    responses: {
      200: json('The trigger', TriggerObject),
      ...ANY_ERROR,
      ...BODY_ERROR,
      404: ERROR[404],
    },
  });
  api.openapi(route, async (c) => {
    const id = c.req.valid('param').trigger_id;
    const input = c.req.valid('json');
    if (input.content_policy != null) policies.resolve(c.get('tenant'), [input.content_policy]);
    const found = await updateTrigger(bucket, c.get('tenant'), id, input);
    if (found === null) throw noTrigger(id);
    return c.json(found, 200);
  });
}
