import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { ANY_ERROR, json } from '../openapi.ts';
import { Model, toModel } from './model.ts';

const route = createRoute({
  method: 'get',
  path: '/v1/models',
  operationId: 'listModels',
  tags: ['Models'],
  summary: 'List the models that are served',
  responses: {
    200: json('The models', z.object({ object: z.literal('list'), data: z.array(Model) })),
    ...ANY_ERROR,
  },
});

export function listModelsRoute(api: Api, { models }: Deps): void {
  api.openapi(route, (c) => c.json({ object: 'list' as const, data: models.map(toModel) }, 200));
}
