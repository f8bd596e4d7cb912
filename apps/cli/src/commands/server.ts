import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import type OpenAI from 'openai';
import { CommandError } from '../errors.ts';
import { createProgress } from '../progress.ts';
import { type BatchView, exitCode, summary, watchBatch } from '../watch.ts';

/** Adds `--url` and `--key` to a command that talks to a server. */
export function withServer(command: Command): Command {
  return command
    .option('--url <url>', 'server (default: BATCHMILL_URL or http://127.0.0.1:8080)')
    .option('--key <key>', 'API key (default: BATCHMILL_API_KEY)');
}

/** Watches a batch to its end, saves its files where asked, and sets the exit code. */
export async function follow(
  client: OpenAI,
  id: string,
  options: { output?: string; errors?: string },
): Promise<BatchView> {
  // A server that is started anew meanwhile is waited for, half a minute.
  const patient = client.withOptions({ maxRetries: 6 });
  const batch = await watchBatch(() => patient.batches.retrieve(id), createProgress());
  await download(client, batch.output_file_id, options.output);
  await download(client, batch.error_file_id, options.errors);
  process.stderr.write(`${summary(batch)}\n`);
  process.exitCode = exitCode(batch);
  return batch;
}

async function download(client: OpenAI, id: string | null | undefined, path: string | undefined): Promise<void> {
  if (id == null || path === undefined) return;
  const response = await client.files.content(id);
  if (response.body === null) throw new CommandError(`The server sent no content for ${id}.`);
  await pipeline(Readable.fromWeb(response.body), createWriteStream(path));
}

/** Of a batch, below the client's base URL. */
export function pathOf(id: string): string {
  return `/batches/${encodeURIComponent(id)}`;
}
