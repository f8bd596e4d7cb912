/** An expression that cannot be parsed, or that failed on an event. `message` names it. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError';
}
