import { openAsBlob } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { startEmbeddedPostgres } from '@batchmill/queue';
import OpenAI from 'openai';
import { startRedis } from '../test/servers/redis.ts';
import { memoryOf } from '../test/servers/service.ts';
import { type Stack, startStack } from '../test/servers/stack.ts';
import { writeInput } from './input.ts';

/** API, control worker and infer workers with an engine that costs nothing, as processes, on a file bucket. */
export interface FastStack extends Stack {
  bucketUrl: string;
  queueUrl: string;
  /** For temporary files of the benchmark. */
  folder: string;
}

/**
 * Runs `work` on a stack, and takes all of it down whatever comes.
 * @param env settings of `instant-worker.ts`, and of the product
 */
export async function withStack<T>(
  env: Record<string, string>,
  work: (stack: FastStack) => Promise<T>,
  queue: 'redis' | 'postgres' = 'redis',
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'batchmill-bench-'));
  // As root PostgreSQL runs as another user, who has to get in here.
  await chmod(folder, 0o755);
  const server = queue === 'redis' ? await startRedis() : await startEmbeddedPostgres(folder);
  try {
    const bucketUrl = pathToFileURL(join(folder, 'bucket')).href;
    const stack = await startStack({
      queueUrl: server.url,
      bucketUrl,
      inferEntry: 'bench/instant-worker.ts',
      env: { MAX_BATCH_ITEMS: '10000000', MAX_BATCH_MB: '4096', MAX_FILE_MB: '4096', ...env },
    });
    try {
      return await work({ ...stack, bucketUrl, queueUrl: server.url, folder });
    } finally {
      await stack.stop();
    }
  } finally {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

export const clientOf = (stack: Pick<Stack, 'url'>, apiKey = 'none') =>
  new OpenAI({ baseURL: `${stack.url}/v1`, apiKey, maxRetries: 0 });

/** Uploads a file of so many items. */
export async function upload(client: OpenAI, folder: string, items: number): Promise<string> {
  const input = join(folder, `input-${items}.jsonl`);
  const bytes = await writeInput(input, items);
  process.stderr.write(`${items} items, ${(bytes / 1e6).toFixed(1)} MB\n`);
  const file = new File([await openAsBlob(input)], 'input.jsonl');
  const { id } = await client.files.create({ file, purpose: 'batch' });
  await rm(input);
  return id;
}

export async function createBatch(client: OpenAI, fileId: string): Promise<string> {
  const { id } = await client.batches.create({
    input_file_id: fileId,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });
  return id;
}

/** Looks at a batch every `everyMs` until `until` says so; says what changes. Throws if it fails. */
export async function watch(
  client: OpenAI,
  id: string,
  until: (done: number, batch: OpenAI.Batches.Batch) => boolean,
  { everyMs = 100, stack }: { everyMs?: number; stack?: Stack } = {},
): Promise<OpenAI.Batches.Batch> {
  const start = performance.now();
  let shown = '';
  for (;;) {
    const batch = await client.batches.retrieve(id);
    const { total = 0, completed = 0, failed = 0 } = batch.request_counts ?? {};
    const line = `${batch.status} ${completed + failed}/${total}`;
    if (stack !== undefined && line !== shown) {
      const mb = memoryOf(stack.control.pid);
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      process.stderr.write(`${seconds} s  ${line}  control ${mb.nowMb.toFixed(0)} MB, peak ${mb.peakMb.toFixed(0)}\n`);
    }
    shown = line;
    if (batch.status === 'failed') throw new Error(JSON.stringify(batch.errors?.data?.[0]));
    if (until(completed + failed, batch)) return batch;
    await sleep(everyMs);
  }
}

/** Waits for the end of a batch of which every item must be answered. */
export async function completed(
  client: OpenAI,
  id: string,
  items: number,
  options: { everyMs?: number; stack?: Stack } = {},
): Promise<void> {
  const batch = await watch(client, id, (_, { status }) => status === 'completed', options);
  if (batch.request_counts?.completed !== items)
    throw new Error(`${batch.request_counts?.completed} of ${items} items completed`);
}
