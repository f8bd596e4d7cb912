import { TriggerObject, TriggerSecretRotate } from '@batchmill/contract';
import { rotateTriggerSecret } from '@batchmill/triggers';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { jsonLimit } from '../http/json-limit.ts';
import { ANY_ERROR, BODY_ERROR, ERROR, json, jsonBody } from '../openapi.ts';
import { noTrigger } from './errors.ts';

export function rotateTriggerSecretRoute(api: Api, { bucket, limits }: Deps): void {
  const route = createRoute({
    method: 'post',
    path: '/v1/triggers/{trigger_id}/rotate_secret',
    operationId: 'rotateTriggerSecret',
    tags: ['Triggers'],
    summary: 'Give a trigger a new secret',
    description: 'Shown in this answer only. For `overlap_seconds` events with the secret before are taken too.',
    middleware: jsonLimit(limits.jsonBytes),
    request: {
      params: z.object({ trigger_id: z.string() }),
      body: jsonBody(TriggerSecretRotate),
    },
    responses: {
      200: json('The trigger, with its secret', TriggerObject),
      ...ANY_ERROR,
      ...BODY_ERROR,
      404: ERROR[404],
    },
  });
  api.openapi(route, async (c) => {
    const id = c.req.valid('param').trigger_id;
    const trigger = await rotateTriggerSecret(bucket, c.get('tenant'), id, c.req.valid('json'));
    if (trigger === null) throw noTrigger(id);
    return c.json(trigger, 200);
  });
}
