import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { layout, openBucket, parsePieces } from '@batchmill/bucket';
import OpenAI from 'openai';
import { PDFDocument } from 'pdf-lib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { clientOf, ended } from '../e2e/suite.ts';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { type Stack, startStack } from '../servers/stack.ts';

/** One long document, and a worker that dies in the middle of it: no page that was kept is read again. */
const PAGES = 80;
let folder: string;
let redis: RedisServer;
let stack: Stack;
let client: OpenAI;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-chaos-'));
  redis = await startRedis();
  stack = await startStack({
    queueUrl: redis.url,
    bucketUrl: pathToFileURL(folder).href,
    env: { PART_INTERVAL: '1', WORKER_LOCK: '3', SWEEP_INTERVAL: '2' },
  });
  client = clientOf(stack.url);
});
afterAll(async () => {
  await stack?.stop();
  await redis?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function longDocument(): Promise<string> {
  const pdf = await PDFDocument.create();
  for (let i = 0; i < PAGES; i++) pdf.addPage([300, 200]).drawText(`Page ${i}`, { x: 40, y: 100, size: 24 });
  const file = await OpenAI.toFile(await pdf.save(), 'long.pdf');
  return (await client.files.create({ file, purpose: 'user_data' })).id;
}

const Line = z.object({
  response: z.object({
    status_code: z.literal(200),
    body: z.object({ pages: z.array(z.object({ index: z.number(), source: z.literal('model') })) }),
  }),
});
const Batch = z.object({ progress: z.object({ unit: z.literal('pages'), done: z.number() }) });

async function keptPages(id: string): Promise<number> {
  const bucket = await openBucket(pathToFileURL(folder).href);
  let pages = 0;
  for await (const { key } of bucket.list(layout.batch.pieces('default', id))) pages += parsePieces(key)?.units ?? 0;
  await bucket.close();
  return pages;
}

test('SIGKILL of the worker at some page of one document', async () => {
  const body = {
    model: 'default',
    document: { type: 'file', file_id: await longDocument() },
    text_layer: 'ignore',
    max_tokens: 16,
  };
  const line = JSON.stringify({ custom_id: 'long', method: 'POST', url: '/v1/ocr', body });
  const input = await client.files.create({
    file: await OpenAI.toFile(Buffer.from(line), 'input.jsonl'),
    purpose: 'batch',
  });
  const { id } = await client.post<{ id: string }>('/batches', {
    body: { input_file_id: input.id, endpoint: '/v1/ocr', completion_window: '24h' },
  });
  while ((await keptPages(id)) < 10) await sleep(100);
  await stack.infer.kill();
  const kept = await keptPages(id);
  expect(kept).toBeLessThan(PAGES);
  await stack.infer.start();

  const batch = await ended(client, id);
  expect(batch).toMatchObject({ status: 'completed', request_counts: { total: 1, completed: 1, failed: 0 } });
  // Each page is counted when its text is kept: one that was read again would count twice.
  expect(Batch.parse(batch).progress.done).toBe(PAGES);
  const output = await (await client.files.content(batch.output_file_id ?? '')).text();
  const { pages } = Line.parse(JSON.parse(output)).response.body;
  expect(pages.map((page) => page.index)).toEqual(Array.from({ length: PAGES }, (_, i) => i));
});
