import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import OpenAI, { toFile } from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { ServiceProcess } from '../servers/service.ts';
import { type Stack, startStack } from '../servers/stack.ts';

/** Workers that come for the work of one lane and go when there is none, as KEDA's jobs do. */
let folder: string;
let redis: RedisServer;
let stack: Stack;
let env: Record<string, string>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-short-'));
  redis = await startRedis();
  env = { QUEUE_URL: redis.url, BUCKET_URL: pathToFileURL(join(folder, 'bucket')).href, THREADS: '1' };
  stack = await startStack({ queueUrl: redis.url, bucketUrl: env.BUCKET_URL ?? '' });
  // Nobody infers until a test starts a worker for it.
  await stack.infer.end();
});
afterAll(async () => {
  await stack?.stop();
  await redis?.stop();
  await rm(folder, { recursive: true, force: true });
});

const picture =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAADAAAAAwCAIAAADYYG7QAAAARUlEQVR4nO3OoQEAIAzAsP3/NPiZSBDNBZnzmXkd2ApJISkkhaSQFJJCUkgKSSEpJIWkkBSSQlJICkkhKSSFpJAUkkJyAYBi5oe5JCNaAAAAAElFTkSuQmCC';

async function submit(content: unknown): Promise<string> {
  const client = new OpenAI({ baseURL: `${stack.url}/v1`, apiKey: 'none' });
  const body = { model: 'default', messages: [{ role: 'user', content }], max_tokens: 4, temperature: 0 };
  const line = JSON.stringify({ custom_id: 'one', method: 'POST', url: '/v1/chat/completions', body });
  const file = await client.files.create({ file: await toFile(Buffer.from(line), 'one.jsonl'), purpose: 'batch' });
  const endpoint = '/v1/chat/completions';
  return (await client.batches.create({ input_file_id: file.id, endpoint, completion_window: '24h' })).id;
}

const statusOf = async (id: string) =>
  (await new OpenAI({ baseURL: `${stack.url}/v1`, apiKey: 'none' }).batches.retrieve(id)).status;

function worker(lanes: string, idle: string): Promise<ServiceProcess> {
  return ServiceProcess.start({
    entry: 'apps/worker/src/main.ts',
    args: ['--roles', 'infer', '--lanes', lanes, '--exit-when-idle', idle],
    env,
    ready: (printed) => printed.includes('worker is up'),
  });
}

test('a worker of one lane does its work, leaves the other lane alone, says what its start took, and ends', async () => {
  const media = await submit([
    { type: 'image_url', image_url: { url: picture } },
    { type: 'text', text: 'Read the text in this image.' },
  ]);
  const text = await submit('Repeat after me: Hello');
  const ofText = await worker('text', '2s');
  while (ofText.running) await sleep(100);
  expect(ofText.printed).toContain('"why":"idle for 2 s"');
  expect(ofText.printed).toMatch(
    /"model_files":[\d.]+,"load":[\d.]+,"warm_up":[\d.]+,"first_item":[\d.]+,"total":[\d.]+.*the first item is answered/,
  );
  while ((await statusOf(text)) !== 'completed') await sleep(100);
  expect(await statusOf(media)).toBe('in_progress');

  const ofMedia = await worker('media', '2s');
  while ((await statusOf(media)) !== 'completed') await sleep(100);
  while (ofMedia.running) await sleep(100);
  expect(ofMedia.exitCode).toBe(0);
});

test('one that is misused says so and does not start', async () => {
  const attempt = ServiceProcess.start({
    entry: 'apps/worker/src/main.ts',
    args: ['--roles', 'control,infer', '--exit-when-idle', '2s'],
    env,
    ready: () => false,
  });
  await expect(attempt).rejects.toThrow('--exit-when-idle is for workers of the role infer alone');
});
