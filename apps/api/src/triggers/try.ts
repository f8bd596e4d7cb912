import { TriggerTest, TriggerTestResult } from '@batchmill/contract';
import { testTrigger } from '@batchmill/triggers';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { jsonLimit } from '../http/json-limit.ts';
import { ANY_ERROR, BODY_ERROR, ERROR, json, jsonBody } from '../openapi.ts';
import { noTrigger } from './errors.ts';

export function tryTriggerRoute(api: Api, { bucket, limits }: Deps): void {
  const route = createRoute({
    method: 'post',
    path: '/v1/triggers/{trigger_id}/test',
    operationId: 'testTrigger',
    tags: ['Triggers'],
    summary: 'See what a trigger would make of an event',
    description: 'Nothing is made. `event` is what the sender would post; it needs no signature here.',
    middleware: jsonLimit(limits.jsonBytes),
    request: {
      params: z.object({ trigger_id: z.string() }),
      body: jsonBody(TriggerTest),
    },
    responses: {
      200: json('The items', TriggerTestResult),
      ...ANY_ERROR,
      ...BODY_ERROR,
      404: ERROR[404],
    },
  });
  api.openapi(route, async (c) => {
    const id = c.req.valid('param').trigger_id;
    const result = await testTrigger(bucket, c.get('tenant'), id, c.req.valid('json').event);
    if (result === null) throw noTrigger(id);
    return c.json(result, 200);
  });
}
