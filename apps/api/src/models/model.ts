import { z } from '@hono/zod-openapi';

export const Model = z
  .object({
    id: z.string(),
    object: z.literal('model'),
    created: z.number().int(),
    owned_by: z.string(),
  })
  .openapi('Model');
export type Model = z.infer<typeof Model>;

/** A served model as the wire has it. The SDKs want a time; the start of this process is as true as any. */
export function toModel(id: string): Model {
  return { id, object: 'model', created: Math.floor(performance.timeOrigin / 1000), owned_by: 'batchmill' };
}
