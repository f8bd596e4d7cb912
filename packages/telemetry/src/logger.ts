import { destination, type Logger, pino } from 'pino';
import { traceIds } from './traces.ts';

export type { Logger };

/** Names of fields that may hold a secret: whatever logs them logs `[redacted]`. */
const SECRETS = ['authorization', 'apiKey', 'key', 'secret', 'password', 'token', 'cookie'];

/**
 * One JSON line per event on standard error (standard output belongs to the commands' results).
 * With traces on (`startTraces`), a line has the ids of its trace and span.
 * `LOG_LEVEL` sets the level: `info` by default, `silent` switches logging off.
 *
 * @example createLogger('worker').info({ batch: id, shard: 3 }, 'shard done')
 */
export function createLogger(name: string): Logger {
  return pino(
    {
      name,
      level: process.env.LOG_LEVEL ?? 'info',
      base: { pid: process.pid },
      serializers: { err: describeError },
      redact: { paths: SECRETS.flatMap((s) => [s, `*.${s}`, `*.*.${s}`]), censor: '[redacted]' },
      timestamp: pino.stdTimeFunctions.isoTime,
      mixin: () => traceIds() ?? {},
      hooks: { streamWrite: scrub },
    },
    destination({ dest: 2, sync: false }),
  );
}

/** What a secret looks like wherever it stands: in a message, a URL, the words of somebody else's error. */
const LOOKS: readonly [RegExp, string][] = [
  [/\bbm_live_[\w-]{43}/g, 'bm_live_[redacted]'],
  [/\bwhsec_[A-Za-z0-9+/=]{16,}/g, 'whsec_[redacted]'],
  [/\bAGE-SECRET-KEY-1[A-Z0-9]+/gi, 'AGE-SECRET-KEY-1[redacted]'],
  [/\b(Bearer|Basic) +[\w.~+/-]{8,}=*/gi, '$1 [redacted]'],
  [/(\b[a-z][a-z0-9+.-]*:\/\/[^/\s:@"\\]*:)[^/\s@"\\]+@/gi, '$1[redacted]@'],
  [/\b(X-Amz-(?:Signature|Credential|Security-Token)=)[^&\s"\\]+/gi, '$1[redacted]'],
];

/** A line of the log without what looks like a secret. */
export function scrub(line: string): string {
  return LOOKS.reduce((text, [look, instead]) => text.replace(look, instead), line);
}

/**
 * An error as a log shows it: its name, code, message, stack and causes. Nothing else of it: drivers hang whole connections,
 * with their secrets, on their errors.
 */
function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) };
  const code =
    'code' in error && (typeof error.code === 'string' || typeof error.code === 'number') ? error.code : null;
  return {
    type: error.name,
    ...(code === null ? {} : { code }),
    message: error.message,
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  };
}
