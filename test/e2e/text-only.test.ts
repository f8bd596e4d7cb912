import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newHome, ServiceProcess } from '../servers/service.ts';
import { audio, chat, jsonl, wav } from './items.ts';
import { clientOf, ended, resultsOf, submit } from './suite.ts';

/** Everything embedded where there is no llama-server: node-llama-cpp answers text, and media are refused in words. */
let home: string;
let service: ServiceProcess;

beforeAll(async () => {
  home = await newHome();
  service = await ServiceProcess.start({
    entry: 'apps/cli/src/main.ts',
    args: ['start'],
    env: { BATCHMILL_HOME: home, PORT: '0', QUEUE_URL: '', BUCKET_URL: '', ENGINE: 'node-llama-cpp', THREADS: '1' },
    ready: (printed) => printed.includes('Batchmill is up'),
  });
});
afterAll(async () => {
  await service?.end();
  await rm(home, { recursive: true, force: true });
});

test('text is answered, also under a schema; a recording is its own error', async () => {
  const client = clientOf(/(http:\/\/[\d.]+:\d+)\/v1/.exec(service.stdout)?.[1] ?? '');
  const schema = {
    type: 'object',
    properties: { n: { type: 'integer' } },
    required: ['n'],
    additionalProperties: false,
  };
  const input = [
    ...Array.from({ length: 10 }, (_, i) => chat(`text-${i}`, `Say ${i}.`)),
    chat('json', 'A number.', {
      max_tokens: 200,
      response_format: { type: 'json_schema', json_schema: { name: 'n', schema } },
    }),
    chat('sound', [audio(wav(1))]),
  ];
  const batch = await ended(client, await submit(client, jsonl(input)));
  expect(batch.status).toBe('completed');
  const results = await resultsOf(client, batch, input);
  for (let i = 0; i < 10; i++) expect(results.get(`text-${i}`)?.response?.status_code).toBe(200);
  expect(JSON.parse(results.get('json')?.response?.body.choices?.[0]?.message.content ?? '')).toEqual({
    n: expect.any(Number),
  });
  expect(results.get('sound')?.response).toMatchObject({
    status_code: 400,
    body: { error: { code: 'unsupported_modality' } },
  });
});
