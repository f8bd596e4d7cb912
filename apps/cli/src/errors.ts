/** A failure with a message for the person at the terminal: shown as it is, without a stack. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}
