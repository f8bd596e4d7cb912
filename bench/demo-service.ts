import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SHIPPED } from '@batchmill/config';
import OpenAI, { toFile } from 'openai';
import { z } from 'zod';
import { newHome, ServiceProcess } from '../test/servers/service.ts';

/** Folder of the model; `DEMO_MODEL` names another, to try an export before it is taken. */
export const DEMO = process.env.DEMO_MODEL ?? fileURLToPath(new URL('../models/demo', import.meta.url));

/** One request of a batch. */
export interface Ask {
  id: string;
  body: Record<string, unknown>;
}

export interface DemoService {
  client: OpenAI;
  /** Runs these as one batch. Gives the body of each answer by id, `null` for one that failed (which is said). */
  answers(endpoint: string, asks: readonly Ask[]): Promise<Map<string, unknown>>;
  stop(): Promise<void>;
}

const ResultLine = z.object({
  custom_id: z.string(),
  response: z.object({ status_code: z.number(), body: z.unknown() }).nullable(),
});
const Batch = z.object({
  id: z.string(),
  status: z.string(),
  output_file_id: z.string().nullable(),
  error_file_id: z.string().nullable(),
});

/**
 * The embedded service with the model that ships, as it is trained to be asked: its own instructions, pictures of at most
 * 280 tokens and one line, chunks of one sentence, as in `packages/config`.
 */
export async function startDemoService(env: Record<string, string> = {}): Promise<DemoService> {
  const home = await newHome();
  const service = await ServiceProcess.start({
    entry: 'apps/cli/src/main.ts',
    args: ['start'],
    env: {
      LOG_LEVEL: 'error',
      BATCHMILL_HOME: home,
      PORT: '0',
      QUEUE_URL: '',
      BUCKET_URL: '',
      MODEL: join(DEMO, 'text.gguf'),
      MMPROJ: join(DEMO, 'mmproj.gguf'),
      CONTEXT_TOKENS: '2048',
      IMAGE_TOKENS: '280',
      // Those of the model that ships, for another of its kind (`DEMO_MODEL`) too.
      OCR_IMAGE_TOKENS: String(SHIPPED.ocrImageTokens),
      OCR_TILE_LINES: String(SHIPPED.tileLines),
      OCR_PROMPT: SHIPPED.ocrPrompt,
      TRANSCRIPTION_PROMPT: SHIPPED.transcriptionPrompt,
      CHUNK_SECONDS: String(SHIPPED.chunkSeconds),
      CHUNK_PAUSE_MS: String(SHIPPED.chunkPauseMs),
      ...env,
    },
    ready: (printed) => printed.includes('Batchmill is up'),
  });
  const url = /(http:\/\/[\d.]+:\d+)\/v1/.exec(service.stdout)?.[1] ?? '';
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
  return {
    client,
    answers: (endpoint, asks) => answers(client, endpoint, asks),
    stop: async () => {
      await service.end();
      await rm(home, { recursive: true, force: true });
    },
  };
}

async function answers(client: OpenAI, endpoint: string, asks: readonly Ask[]): Promise<Map<string, unknown>> {
  const lines = asks.map(({ id, body }) =>
    JSON.stringify({ custom_id: id, method: 'POST', url: endpoint, body: { model: 'default', ...body } }),
  );
  const input = await client.files.create({
    file: await toFile(Buffer.from(lines.join('\n')), 'in.jsonl'),
    purpose: 'batch',
  });
  let batch = Batch.parse(
    await client.post('/batches', { body: { input_file_id: input.id, endpoint, completion_window: '24h' } }),
  );
  while (!['completed', 'failed', 'expired', 'cancelled'].includes(batch.status)) {
    await sleep(250);
    batch = Batch.parse(await client.get(`/batches/${batch.id}`));
  }
  if (batch.status !== 'completed') throw new Error(`The batch ended as ${batch.status}.`);
  const found = new Map<string, unknown>();
  for (const id of [batch.output_file_id, batch.error_file_id]) {
    if (id === null) continue;
    for (const line of (await (await client.files.content(id)).text()).trimEnd().split('\n')) {
      const { custom_id: name, response } = ResultLine.parse(JSON.parse(line));
      if (response?.status_code === 200) found.set(name, response.body);
      else {
        process.stderr.write(`${name} failed: ${JSON.stringify(response?.body)}\n`);
        found.set(name, null);
      }
    }
  }
  return found;
}

/** Runs `work` with a folder that is removed afterwards. */
export async function withFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'batchmill-bench-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
