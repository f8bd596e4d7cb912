export { type ApiOptions, createApi, LIMITS } from './api.ts';
export type { Api, Limits } from './deps.ts';
export { type Access, createAccess, DEFAULT_TENANT } from './http/access.ts';
export { openApiDocument } from './openapi.ts';
export { type ApiServer, type ServeOptions, serve } from './server.ts';
