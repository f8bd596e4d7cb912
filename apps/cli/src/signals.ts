/**
 * Runs `onFirst` at the first SIGINT or SIGTERM; a second one ends the process at once, for whoever has no patience.
 * @returns the function that stops listening.
 */
export function onStopSignal(onFirst: (signal: NodeJS.Signals) => void): () => void {
  let seen = false;
  const listener = (signal: NodeJS.Signals) => {
    if (seen) process.exit(130);
    seen = true;
    onFirst(signal);
  };
  process.on('SIGINT', listener);
  process.on('SIGTERM', listener);
  return () => {
    process.off('SIGINT', listener);
    process.off('SIGTERM', listener);
  };
}
