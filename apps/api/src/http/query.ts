import { z } from '@hono/zod-openapi';

/** `limit` of a list: a plain decimal number from 1 to `max`. */
export function limitParam(max: number, fallback: number) {
  return z
    .string()
    .regex(/^\d{1,9}$/, 'must be a number')
    .transform(Number)
    .pipe(z.number().int().min(1).max(max))
    .default(fallback)
    .openapi({ type: 'integer', minimum: 1, maximum: max, default: fallback });
}
