/** A policy that cannot be used. The message has a line for each problem: `file:line:column: what is wrong`. */
export class PolicyError extends Error {
  override readonly name = 'PolicyError';
}
