import { type Guard, refusal } from '@batchmill/guard';

export interface Sent {
  /** `null`: no answer. */
  status: number | null;
  /** The beginning of the answer. */
  body: string | null;
  durationMs: number;
  /** Why it failed, in words; `null` for 2xx. */
  error: string | null;
}

export interface Sender {
  /** Posts a signed body. Never throws. */
  post(url: string, headers: Record<string, string>, body: string): Promise<Sent>;
  close(): Promise<void>;
}

/** Of an answer so much is read, and so much of that is kept. */
const MOST_READ = 64 * 1024;
const MOST_KEPT = 1_024;

/**
 * Posts to URLs that strangers wrote: only to public addresses or those of the operator's allow-list, resolved once per
 * connection and connected to as resolved; TLS is verified; redirects are not followed.
 */
export function createSender(guard: Guard, timeoutMs = 15_000): Sender {
  // With the first post: an API process may never make one.
  const open = async () => {
    const { Agent, fetch } = await import('undici');
    return { fetch, agent: new Agent({ connect: { lookup: guard.lookup, timeout: timeoutMs } }) };
  };
  let opened: ReturnType<typeof open> | undefined;
  return {
    async post(url, headers, body) {
      const start = performance.now();
      const done = (sent: Omit<Sent, 'durationMs'>): Sent => ({
        ...sent,
        durationMs: Math.round(performance.now() - start),
      });
      opened ??= open();
      const { fetch, agent } = await opened;
      const signal = AbortSignal.timeout(timeoutMs);
      try {
        const response = await fetch(guard.check(url), {
          method: 'POST',
          headers: { ...headers, 'content-type': 'application/json', 'user-agent': 'batchmill-webhooks/1' },
          body,
          redirect: 'manual',
          dispatcher: agent,
          signal,
        });
        // What its answer says is for people to read. The receiver has taken the event by then, or not.
        const text = await beginning(response.body).catch(() => null);
        const { status } = response;
        const ok = status >= 200 && status < 300;
        const moved = status >= 300 && status < 400 ? 'a redirect, which is not followed' : null;
        return done({ status, body: text, error: ok ? null : (moved ?? `status ${status}`) });
      } catch (error) {
        return done({
          status: null,
          body: null,
          error: signal.aborted ? `no answer in ${timeoutMs / 1000} s` : reason(error),
        });
      }
    },
    close: async () => {
      await (await opened)?.agent.destroy();
    },
  };
}

async function beginning(body: AsyncIterable<Uint8Array> | null): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  // Leaving the loop ends the connection: an answer without end is cut off.
  for await (const chunk of body ?? []) {
    chunks.push(chunk);
    bytes += chunk.byteLength;
    if (bytes > MOST_READ) break;
  }
  return Buffer.concat(chunks).toString('utf8').slice(0, MOST_KEPT);
}

/** In words that say nothing of our network. */
function reason(error: unknown): string {
  const refused = refusal(error);
  if (refused !== null) return refused.message;
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return code === '' ? 'the connection failed' : `the connection failed (${code})`;
}
