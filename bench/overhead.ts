import { openAsBlob } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import OpenAI from 'openai';
import { startRedis } from '../test/servers/redis.ts';
import { memoryOf } from '../test/servers/service.ts';
import { startStack } from '../test/servers/stack.ts';
import { writeInput } from './input.ts';
import type { BenchOptions } from './main.ts';

/**
 * The product's own cost: an engine that answers at once, Redis and a file bucket, API, control and infer as processes.
 * `items_per_s` from the create call to `completed`; `peak_rss_mb` is the larger of API and control worker.
 */
export async function run(options: BenchOptions): Promise<Record<string, number>> {
  const items = options.items ?? (options.quick ? 5_000 : 50_000);
  const folder = await mkdtemp(join(tmpdir(), 'batchmill-bench-'));
  const redis = await startRedis();
  const stack = await startStack({
    queueUrl: redis.url,
    bucketUrl: pathToFileURL(join(folder, 'bucket')).href,
    inferEntry: 'bench/instant-worker.ts',
    env: { LOG_LEVEL: 'info', MAX_BATCH_ITEMS: '10000000', MAX_BATCH_MB: '4096', MAX_FILE_MB: '4096' },
  });
  try {
    const input = join(folder, 'input.jsonl');
    const bytes = await writeInput(input, items);
    process.stderr.write(`${items} items, ${(bytes / 1e6).toFixed(1)} MB\n`);
    const client = new OpenAI({ baseURL: `${stack.url}/v1`, apiKey: 'none', maxRetries: 0 });
    const file = await client.files.create({
      file: new File([await openAsBlob(input)], 'input.jsonl'),
      purpose: 'batch',
    });
    const start = performance.now();
    const { id } = await client.batches.create({
      input_file_id: file.id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    });
    let shown = '';
    for (;;) {
      const batch = await client.batches.retrieve(id);
      const { total = 0, completed = 0, failed = 0 } = batch.request_counts ?? {};
      const line = `${batch.status} ${completed + failed}/${total}`;
      if (line !== shown) {
        const mb = memoryOf(stack.control.pid);
        process.stderr.write(
          `${((performance.now() - start) / 1000).toFixed(1)} s  ${line}  control ${mb.nowMb.toFixed(0)} MB, peak ${mb.peakMb.toFixed(0)}\n`,
        );
      }
      shown = line;
      if (batch.status === 'completed') {
        if (completed !== items) throw new Error(`${completed} of ${items} items completed`);
        break;
      }
      if (batch.status === 'failed') throw new Error(JSON.stringify(batch.errors?.data?.[0]));
      await sleep(100);
    }
    const seconds = (performance.now() - start) / 1000;
    const api = memoryOf(stack.api.pid).peakMb;
    const control = memoryOf(stack.control.pid).peakMb;
    const infer = memoryOf(stack.infer.pid).peakMb;
    process.stderr.write(`peak MB: api ${api.toFixed(0)}, control ${control.toFixed(0)}, infer ${infer.toFixed(0)}\n`);
    return {
      items_per_s: Math.round(items / seconds),
      peak_rss_mb: Math.round(Math.max(api, control)),
      items,
      api_mb: Math.round(api),
      control_mb: Math.round(control),
      infer_mb: Math.round(infer),
    };
  } finally {
    await stack.stop();
    await redis.stop();
    await rm(folder, { recursive: true, force: true });
  }
}
