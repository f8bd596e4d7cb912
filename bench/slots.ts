import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { ensureLlamaServer } from '@batchmill/engine';
import OpenAI, { toFile } from 'openai';
import { Pool } from 'undici';
import { z } from 'zod';
import { startRedis } from '../test/servers/redis.ts';
import { startStack } from '../test/servers/stack.ts';
import { socketBelow } from './engine-socket.ts';
import type { BenchOptions } from './main.ts';
import { middleModel } from './middle-model.ts';
import { samplePdf } from './sample-pdf.ts';

/**
 * Whether preparing media ever starves the engine: the share of its slots that are at work, asked of llama-server itself
 * twenty times a second from the first call on until the last pages or chunks cannot fill them any more. The whole product
 * (Redis, file bucket), the middle-sized random model at its real speed: `ocr_busy` over 200 pages of ten PDFs, `audio_busy`
 * over an hour of speech in six recordings. The engine has one thread, so that preparation has a core, as beside a GPU.
 */
const SLOTS = 4;
const MAX_TOKENS = 24;

export async function run(options: BenchOptions): Promise<Record<string, number>> {
  const { model, mmproj } = middleModel();
  const folder = await mkdtemp(join(tmpdir(), 'batchmill-bench-'));
  const redis = await startRedis();
  const stack = await startStack({
    queueUrl: redis.url,
    bucketUrl: pathToFileURL(join(folder, 'bucket')).href,
    env: {
      LLAMA_SERVER: await showingSlots(folder),
      MODEL: model,
      MMPROJ: mmproj,
      SLOTS: String(SLOTS),
      CONTEXT_TOKENS: '2048',
      THREADS: '1',
      OCR_IMAGE_TOKENS: '140',
      CHUNK_SECONDS: '28',
    },
  });
  try {
    const client = new OpenAI({ baseURL: `${stack.url}/v1`, apiKey: 'none', maxRetries: 0 });
    const socket = socketBelow(stack.infer.pid);
    const documents = options.quick ? 2 : 10;
    const pdf = await samplePdf(20);
    const ocr = await busy(client, socket, '/v1/ocr', documents, await upload(client, pdf, 'report.pdf'), (id) => ({
      document: { type: 'file', file_id: id },
      text_layer: 'ignore',
      max_tokens: MAX_TOKENS,
    }));
    const recording = await readFile(new URL('../examples/audio/ten-minutes.ogg', import.meta.url));
    const audio = await busy(
      client,
      socket,
      '/v1/audio/transcriptions',
      options.quick ? 1 : 6,
      await upload(client, recording, 'ten-minutes.ogg'),
      (id) => ({ file_id: id, max_tokens: MAX_TOKENS }),
    );
    return { ocr_busy: ocr, audio_busy: audio };
  } finally {
    await stack.stop();
    await redis.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** The product switches off the question how slots are; this starts its llama-server without that. */
async function showingSlots(folder: string): Promise<string> {
  const { path } = await ensureLlamaServer();
  const program = join(folder, 'llama-server');
  const script = `#!/bin/sh\nfor a; do shift; [ "$a" = --no-slots ] || set -- "$@" "$a"; done\nexec '${path}' "$@" --slots\n`;
  await writeFile(program, script, { mode: 0o755 });
  return program;
}

async function upload(client: OpenAI, bytes: Uint8Array, name: string): Promise<string> {
  return (await client.files.create({ file: await toFile(bytes, name), purpose: 'user_data' })).id;
}

const State = z.array(z.object({ is_processing: z.boolean() }));
const Batch = z.object({ status: z.string(), request_counts: z.object({ completed: z.number(), failed: z.number() }) });

async function busy(
  client: OpenAI,
  socketPath: string,
  endpoint: string,
  items: number,
  fileId: string,
  body: (fileId: string) => Record<string, unknown>,
): Promise<number> {
  const lines = Array.from({ length: items }, (_, i) =>
    JSON.stringify({
      custom_id: `item-${i}`,
      method: 'POST',
      url: endpoint,
      body: { model: 'default', ...body(fileId) },
    }),
  );
  const file = await client.files.create({
    file: await toFile(Buffer.from(lines.join('\n')), 'in.jsonl'),
    purpose: 'batch',
  });
  const { id } = await client.post<{ id: string }>('/batches', {
    body: { input_file_id: file.id, endpoint, completion_window: '24h' },
  });
  const pool = new Pool('http://localhost', { socketPath, connections: 1 });
  const samples: number[] = [];
  let ended = false;
  const sampling = (async () => {
    while (!ended) {
      const { body: answer } = await pool.request({ method: 'GET', path: '/slots' });
      samples.push(State.parse(await answer.json()).filter((slot) => slot.is_processing).length);
      await sleep(50);
    }
  })();
  const started = performance.now();
  for (;;) {
    const batch = Batch.parse(await client.batches.retrieve(id));
    if (batch.status === 'completed') {
      if (batch.request_counts.completed !== items) throw new Error(`${batch.request_counts.failed} items failed`);
      break;
    }
    await sleep(500);
  }
  ended = true;
  await sampling;
  await pool.close();
  // At the end there is less to do than slots: from when they were last full on, nothing can be said of preparation.
  const counted = samples.slice(
    samples.findIndex((n) => n > 0),
    samples.lastIndexOf(SLOTS) + 1,
  );
  const share = counted.reduce((sum, n) => sum + n, 0) / (SLOTS * Math.max(1, counted.length));
  process.stderr.write(
    `${endpoint}: ${((performance.now() - started) / 1_000).toFixed(0)} s, ${counted.length} looks, ${(100 * share).toFixed(1)} % busy\n`,
  );
  return Number(share.toFixed(3));
}
