import { createReadStream } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import OpenAI from 'openai';
import { z } from 'zod';
import { CommandError } from '../errors.ts';
import { createProgress } from '../progress.ts';
import { withTemporaryService } from '../temporary-service.ts';
import { exitCode, summary, watchBatch } from '../watch.ts';

const EXAMPLE = fileURLToPath(new URL('../../../../examples/mixed.jsonl', import.meta.url));

export function demoCommand(command: Command): void {
  command.action(demo);
}

/** What the demo shows of a line. */
const Shown = z.object({
  custom_id: z.string(),
  response: z
    .object({
      status_code: z.number(),
      body: z.object({
        choices: z
          .array(z.object({ message: z.object({ content: z.string().nullable() }), finish_reason: z.string() }))
          .optional(),
        usage: z.object({ prompt_tokens: z.number(), completion_tokens: z.number() }).optional(),
        error: z.object({ message: z.string() }).optional(),
      }),
    })
    .nullable(),
});

async function demo(): Promise<void> {
  process.env.LOG_LEVEL ??= 'error';
  const progress = createProgress();
  const options = { name: 'demo', progress, config: { host: '127.0.0.1', port: 0 } };
  await withTemporaryService(options, async ({ api }, config) => {
    if (api === null) throw new CommandError('The API did not start.');
    progress.end(`Batchmill is up at ${api.url} with the model ${config.model.name}.`);
    const client = new OpenAI({ baseURL: `${api.url}/v1`, apiKey: 'none' });
    const file = await client.files.create({ file: createReadStream(EXAMPLE), purpose: 'batch' });
    process.stderr.write(`Uploaded ${file.filename} (${file.bytes} bytes) as ${file.id}.\n`);
    const { id } = await client.batches.create({
      input_file_id: file.id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    });
    process.stderr.write(`Created ${id}.\n`);
    const batch = await watchBatch(() => client.batches.retrieve(id), progress, { everyMs: 200 });
    for (const fileId of [batch.output_file_id, batch.error_file_id]) {
      if (fileId == null) continue;
      const text = await (await client.files.content(fileId)).text();
      for (const line of text.trimEnd().split('\n')) process.stdout.write(`${show(line)}\n`);
    }
    process.stderr.write(`${summary(batch)}\n`);
    process.exitCode = exitCode(batch);
  });
}

function show(line: string): string {
  const { custom_id: id, response } = Shown.parse(JSON.parse(line));
  const answer = response?.body.choices?.[0];
  const usage = response?.body.usage;
  if (answer === undefined) return `${id}\n    error: ${response?.body.error?.message ?? 'not run'}`;
  const tokens = usage === undefined ? '' : `  (${usage.prompt_tokens} tokens in, ${usage.completion_tokens} out)`;
  return `${id}${tokens}\n    ${JSON.stringify(answer.message.content)}`;
}
