import { RequestError } from '@batchmill/contract';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';
import { Model, toModel } from './model.ts';

const route = createRoute({
  method: 'get',
  path: '/v1/models/{model}',
  operationId: 'getModel',
  tags: ['Models'],
  summary: 'Describe a model',
  request: { params: z.object({ model: z.string().describe('Its name, with `/` as `%2F`') }) },
  responses: { 200: json('The model', Model), ...ANY_ERROR, 404: ERROR[404] },
});

export function getModelRoute(api: Api, { models }: Deps): void {
  api.openapi(route, (c) => {
    const id = c.req.valid('param').model;
    if (!models.includes(id)) {
      throw new RequestError(404, `The model '${id}' does not exist. Served are: ${models.join(', ') || 'none'}.`, {
        code: 'model_not_found',
        param: 'model',
        type: 'invalid_request_error',
      });
    }
    return c.json(toModel(id), 200);
  });
}
