/**
 * A batch with the official `openai` package: `node examples/openai-sdk.ts [input.jsonl]`, while `npm start` runs in another
 * terminal. BATCHMILL_URL and BATCHMILL_API_KEY name another server and its key.
 */
import { createReadStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import OpenAI from 'openai';

const input = process.argv[2] ?? fileURLToPath(new URL('./mixed.jsonl', import.meta.url));
const client = new OpenAI({
  baseURL: `${process.env.BATCHMILL_URL ?? 'http://127.0.0.1:8080'}/v1`,
  // A server without keys takes anything here; the SDK wants something.
  apiKey: process.env.BATCHMILL_API_KEY ?? 'none',
});

const file = await client.files.create({ file: createReadStream(input), purpose: 'batch' });
let batch = await client.batches.create({
  input_file_id: file.id,
  endpoint: '/v1/chat/completions',
  completion_window: '24h',
});

while (!['completed', 'failed', 'expired', 'cancelled'].includes(batch.status)) {
  console.error(batch.id, batch.status, batch.request_counts);
  await sleep(1000);
  batch = await client.batches.retrieve(batch.id);
}
console.error(batch.id, batch.status, batch.request_counts);
if (batch.errors) console.error(batch.errors.data);

// Every custom_id is in exactly one of the two files, in the order of the input.
for (const id of [batch.output_file_id, batch.error_file_id]) {
  if (id) process.stdout.write(await (await client.files.content(id)).text());
}
