import type { Logger } from './logger.ts';

/**
 * Ends this process once, on SIGTERM, on SIGINT, or when the function that this gives is called with the reason: `close` is waited for,
 * then it exits with 0.
 */
export function endInOrder(log: Logger, close: () => Promise<void>): (why: string) => Promise<void> {
  let stopping = false;
  const stop = async (why: string) => {
    if (stopping) return;
    stopping = true;
    log.info({ why }, 'stopping');
    await close();
    log.info('stopped');
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => void stop(signal));
  return stop;
}

/** Errors whose message is for the operator. By name: nobody is to load the engine to know its errors. */
const TOLD = new Set([
  'ConfigError',
  'PolicyError',
  'BucketUrlError',
  'BucketUnavailableError',
  'QueueUnavailableError',
  'EngineError',
  'IdentityError',
]);

/** Ends this process with 1: what an operator can mend is said in its own words, anything else is logged with its stack. */
export function failedStart(log: Logger, error: unknown): never {
  if (error instanceof Error && TOLD.has(error.name)) process.stderr.write(`${error.message}\n`);
  else log.fatal({ err: error }, 'could not start');
  process.exit(1);
}
