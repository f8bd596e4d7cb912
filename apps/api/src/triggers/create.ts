import { TriggerCreate, TriggerObject } from '@batchmill/contract';
import { createTrigger } from '@batchmill/triggers';
import { createRoute } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { jsonLimit } from '../http/json-limit.ts';
import { ANY_ERROR, BODY_ERROR, json, jsonBody } from '../openapi.ts';

export function createTriggerRoute(api: Api, { bucket, limits, policies }: Deps): void {
  const route = createRoute({
    method: 'post',
    path: '/v1/triggers',
    operationId: 'createTrigger',
    tags: ['Triggers'],
    summary: 'Make a URL whose events become batches',
    description:
      'The secret, yours or a made-up one, is shown in this answer only. The template is tried on `sample_event`.',
    middleware: jsonLimit(limits.jsonBytes),
    request: { body: jsonBody(TriggerCreate) },
    responses: {
      200: json('The trigger', TriggerObject),
      ...ANY_ERROR,
      ...BODY_ERROR,
    },
  });
  api.openapi(route, async (c) => {
    const input = c.req.valid('json');
    // A name that is wrong is told now, and not with the first event.
    if (input.content_policy !== null) policies.resolve(c.get('tenant'), [input.content_policy]);
    return c.json(await createTrigger(bucket, c.get('tenant'), input), 200);
  });
}
