import { ErrorBody } from '@batchmill/contract';
import type { z } from 'zod';
import type { Api } from './deps.ts';

/** The version that `/openapi.json` states. */
export const API_VERSION = '1.0.0';

const REQUEST_ID = {
  'x-request-id': {
    description: 'Id of this request, as in the log of the server',
    schema: { type: 'string' as const },
  },
};

/** A JSON response. */
export function json<T extends z.ZodType>(description: string, schema: T) {
  return { description, headers: REQUEST_ID, content: { 'application/json': { schema } } };
}

const error = (description: string) => json(description, ErrorBody);

/** The error responses, by status. */
export const ERROR = {
  400: error('A parameter is missing, unknown or not acceptable; `param` names it'),
  401: error('The API key is missing, wrong, revoked or has expired'),
  403: error('The service has no API keys and the request is not local'),
  404: error('There is no such object'),
  409: error('The state of the object does not allow this; repeating does not help'),
  413: error('The body is too large'),
  415: error('The content type is not the one expected'),
  416: error('The range lies outside the content'),
  422: error('The event is well-formed, but the template cannot make an item of it'),
  429: error('Too many requests; see `retry-after`'),
  500: error('An error nobody expected; the message names the request id to look for in the log'),
  503: error('The bucket or the queue cannot be reached; see `retry-after`'),
};

/** The error responses that every route under `/v1` has. */
export const ANY_ERROR = { 401: ERROR[401], 403: ERROR[403], 429: ERROR[429], 500: ERROR[500], 503: ERROR[503] };

/** The whole API as OpenAPI 3.1, made from the schemas that check the requests. */
export function openApiDocument(api: Api) {
  return api.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Batchmill',
      version: API_VERSION,
      description:
        'Batch inference for multimodal GGUF models: upload a file of requests, create a batch, download the answers. ' +
        'The Files, Uploads, Batches and Models routes are those of the OpenAI API, so that its SDKs serve as clients.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    servers: [{ url: '/' }],
    tags: [
      { name: 'Files', description: 'Input files of batches, and the files with their results' },
      { name: 'Uploads', description: 'Files of up to 8 GB, sent in parts' },
      { name: 'Batches' },
      { name: 'Triggers', description: 'URLs whose events become items of batches' },
      { name: 'Webhooks', description: 'Where the news of batches goes' },
      { name: 'Moderations' },
      { name: 'Models' },
      { name: 'Service' },
    ],
    security: [{ apiKey: [] }],
  });
}

/** A JSON body that must be there. Its route has `jsonLimit` as middleware. */
export function jsonBody<T extends z.ZodType>(schema: T) {
  return { required: true, content: { 'application/json': { schema } } };
}

/** The error responses of a route that takes JSON. */
export const BODY_ERROR = { 400: ERROR[400], 413: ERROR[413], 415: ERROR[415] };

/** Declares how requests are authenticated; needed once per API. */
export function declareSecurity(api: Api): void {
  api.openAPIRegistry.registerComponent('securitySchemes', 'apiKey', {
    type: 'http',
    scheme: 'bearer',
    description: 'A key made with `batchmill keys create`. A service without keys answers local requests without one.',
  });
}
