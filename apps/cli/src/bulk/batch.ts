import { setTimeout as sleep } from 'node:timers/promises';
import { BatchObject } from '@batchmill/contract';
import OpenAI, { toFile } from 'openai';
import { z } from 'zod';
import type { Progress } from '../progress.ts';
import { Meter } from './meter.ts';

/** What this looks at of a batch. The SDK's own types know neither our endpoints nor `progress`. */
const Batch = BatchObject.pick({
  id: true,
  status: true,
  created_at: true,
  output_file_id: true,
  error_file_id: true,
  input_file_id: true,
  request_counts: true,
}).extend({
  errors: z
    .object({ data: z.array(z.object({ code: z.string(), line: z.number().nullable(), message: z.string() })) })
    .nullable(),
  /** Services of earlier versions know no `total`, or nothing at all. */
  progress: z
    .object({ unit: z.enum(['pages', 'audio_seconds']), done: z.number(), total: z.number().nullish() })
    .nullish(),
});
export type Batch = z.infer<typeof Batch>;

const ENDED: ReadonlySet<string> = new Set(['completed', 'failed', 'expired', 'cancelled']);
/** Between looks: short at first, since a few files take no longer, then a second. */
const LOOK_EVERY_MS = { first: 100, most: 1_000 };
/** So long the service may be away before this gives up watching. The batch is not touched by that. */
const AWAY_MS = 15 * 60_000;
/** So long the results stay at the service, in case somebody wants to look at them there. */
const RESULT_SECONDS = 30 * 86_400;

/**
 * Creates a batch of these lines (JSON, one each).
 * @returns its id.
 */
export async function submitBatch(
  client: OpenAI,
  lines: readonly string[],
  options: { endpoint: string; window: string; metadata: Record<string, string>; signal: AbortSignal },
): Promise<string> {
  const { signal } = options;
  const content = new Blob(lines.map((line) => `${line}\n`));
  const input = await client.files.create({ file: await toFile(content, 'input.jsonl'), purpose: 'batch' }, { signal });
  const created = await client.post('/batches', {
    body: {
      input_file_id: input.id,
      endpoint: options.endpoint,
      completion_window: options.window,
      metadata: options.metadata,
      output_expires_after: { anchor: 'created_at', seconds: RESULT_SECONDS },
    },
    // Repeated or broken off, it might leave a batch that nobody knows of.
    maxRetries: 0,
  });
  return Batch.parse(created).id;
}

/** A batch, or `null` if the service has none with this id. */
export async function getBatch(client: OpenAI, id: string): Promise<Batch | null> {
  try {
    return Batch.parse(await client.get(`/batches/${encodeURIComponent(id)}`));
  } catch (error) {
    if (error instanceof OpenAI.NotFoundError) return null;
    throw error;
  }
}

/**
 * Shows the progress of a batch until it has ended, and gives its last state; `null` if it is gone. A service that is away
 * for a while, to be updated for example, is waited for.
 */
export async function followBatch(
  client: OpenAI,
  id: string,
  options: { progress: Progress; signal: AbortSignal },
): Promise<Batch | null> {
  const { progress, signal } = options;
  const meter = new Meter();
  let seenAt = Date.now();
  for (let pause = LOOK_EVERY_MS.first; ; pause = Math.min(pause * 1.25, LOOK_EVERY_MS.most)) {
    signal.throwIfAborted();
    try {
      const batch = await getBatch(client, id);
      if (batch === null || ENDED.has(batch.status)) {
        progress.end();
        return batch;
      }
      seenAt = Date.now();
      const { total, completed, failed } = batch.request_counts;
      const reading = meter.read(completed + failed, total, batch.progress ?? null);
      const failures = failed > 0 ? ` (${failed} failed)` : '';
      if (total === 0) progress.update(batch.status.replace('_', ' '));
      else progress.update(`${batch.status.replace('_', ' ')}${failures}`, completed + failed, total, reading);
    } catch (error) {
      const away = error instanceof OpenAI.APIConnectionError || error instanceof OpenAI.InternalServerError;
      if (!away || Date.now() - seenAt > AWAY_MS) throw error;
      progress.update('the service does not answer; waiting for it');
    }
    // Aborted: said at the top of the loop.
    await sleep(pause, undefined, { signal }).catch(() => {});
  }
}
