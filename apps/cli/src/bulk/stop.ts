/** The person at the terminal, or the system, asked this to stop. What was under way goes on another time. */
export class StoppedError extends Error {
  override readonly name = 'StoppedError';
}
