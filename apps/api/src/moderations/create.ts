import { ModerationRequest, ModerationResponse, moderationTexts, newId } from '@batchmill/contract';
import { createRoute } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { jsonLimit } from '../http/json-limit.ts';
import { ANY_ERROR, BODY_ERROR, json, jsonBody } from '../openapi.ts';

export function createModerationRoute(api: Api, { limits, moderate, policies }: Deps): void {
  const route = createRoute({
    method: 'post',
    path: '/v1/moderations',
    operationId: 'createModeration',
    tags: ['Moderations'],
    summary: 'Judge texts by the content policy',
    description:
      "By the filters of the account's policy that compute by themselves; those that ask a model judge batches only, where " +
      '`/v1/moderations` is an endpoint too. `looked_for` says what was looked for: of other categories `false` means nothing. ' +
      'Texts are not kept.',
    middleware: jsonLimit(limits.jsonBytes),
    request: { body: jsonBody(ModerationRequest) },
    responses: {
      200: json('A result for each text', ModerationResponse),
      ...ANY_ERROR,
      ...BODY_ERROR,
    },
  });
  api.openapi(route, async (c) => {
    const chosen = c.get('policy');
    const policy = policies.resolve(c.get('tenant'), chosen === null ? [] : [chosen]);
    const texts = moderationTexts(c.req.valid('json'));
    const results = await moderate(policy, texts, c.req.raw.signal);
    return c.json({ id: newId('modr-'), model: `policy:${policy.name}`, results }, 200);
  });
}
