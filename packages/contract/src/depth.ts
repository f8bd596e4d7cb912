import { RequestError } from './errors.ts';

/**
 * How deep JSON from outside may be nested. Parsing takes any depth, but what walks a value afterwards (schemas, templates,
 * `JSON.stringify`) runs out of stack at a few thousand levels. Real schemas and messages have a dozen.
 */
export const MOST_DEPTH = 200;

/** @throws RequestError 400 if a JSON value is nested deeper than `MOST_DEPTH`. */
export function checkDepth(value: unknown): void {
  // By hand: the very values this is for would overflow the stack of a recursion.
  const open: { value: object; depth: number }[] = [];
  const add = (inner: unknown, depth: number) => {
    if (typeof inner !== 'object' || inner === null) return;
    if (depth > MOST_DEPTH)
      throw new RequestError(400, `The JSON is nested more than ${MOST_DEPTH} levels deep.`, { code: 'invalid_json' });
    open.push({ value: inner, depth });
  };
  add(value, 1);
  for (let next = open.pop(); next !== undefined; next = open.pop())
    for (const inner of Object.values(next.value)) add(inner, next.depth + 1);
}
