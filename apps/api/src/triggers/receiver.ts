import type { BatchDeps } from '@batchmill/batch';
import { createGuard } from '@batchmill/guard';
import { type Policies, storePolicy } from '@batchmill/safety';
import type { Logger } from '@batchmill/telemetry';
import { Receiver } from '@batchmill/triggers';

const FETCH_MS = 10_000;
const MOST_BYTES = 64 * 1024;

/** What takes the events of triggers in this process. To be closed with it, so that gathered events become batches at once. */
export function createReceiver(batch: BatchDeps, policies: Policies, logger: Logger): Receiver {
  const guard = createGuard({});
  // For Amazon's certificates alone, so with the first of those.
  const open = async () => {
    const { Agent, fetch } = await import('undici');
    return { fetch, agent: new Agent({ connect: { lookup: guard.lookup } }) };
  };
  let opened: ReturnType<typeof open> | undefined;
  return new Receiver({
    batch,
    policy: (tenant, chosen) => storePolicy(batch.bucket, policies.resolve(tenant, chosen === null ? [] : [chosen])),
    fetchText: async (url) => {
      opened ??= open();
      const { fetch, agent } = await opened;
      const signal = AbortSignal.timeout(FETCH_MS);
      const response = await fetch(guard.check(url), { dispatcher: agent, redirect: 'error', signal });
      if (!response.ok) throw new Error(`${guard.check(url).hostname} answered with status ${response.status}`);
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      for await (const chunk of response.body ?? []) {
        bytes += chunk.byteLength;
        if (bytes > MOST_BYTES) throw new Error('the answer is too long');
        chunks.push(chunk);
      }
      return Buffer.concat(chunks).toString('utf8');
    },
    onError: (error, trigger) => {
      logger.warn({ err: error, trigger }, 'gathered events did not become a batch yet; the sweep will see to it');
    },
  });
}
