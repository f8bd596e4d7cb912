import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import type OpenAI from 'openai';
import { type BatchView, createClient, exitCode, type ServerOptions, summary, watchBatch } from '../client.ts';
import { CommandError } from '../errors.ts';
import { createProgress } from '../progress.ts';

interface SubmitOptions extends ServerOptions {
  endpoint: '/v1/chat/completions';
  window: '24h';
  metadata: Record<string, string>;
  watch: boolean;
  output?: string;
  errors?: string;
}

/** Adds `--url` and `--key` to a command that talks to a server. */
export function withServer(command: Command): Command {
  return command
    .option('--url <url>', 'server (default: BATCHMILL_URL or http://127.0.0.1:8080)')
    .option('--key <key>', 'API key (default: BATCHMILL_API_KEY)');
}

export function submitCommand(program: Command): void {
  withServer(
    program
      .command('submit')
      .description('send a batch to a server; with --watch, wait for it and fetch the results')
      .argument('<input.jsonl>')
      .option('--endpoint <url>', 'endpoint of all lines', '/v1/chat/completions')
      .option('--window <time>', 'completion window: hours or days up to 7d', '24h')
      .option('--metadata <key=value>', 'may be repeated', collect, {})
      .option('--watch', 'show progress until it has ended', false)
      .option('-o, --output <file>', 'with --watch: where the answers go')
      .option('-e, --errors <file>', 'with --watch: where error lines go'),
  ).action(submit);
}

async function submit(input: string, options: SubmitOptions): Promise<void> {
  if ((await stat(input).catch(() => null)) === null) throw new CommandError(`There is no file '${input}'.`);
  const client = createClient(options);
  const file = await client.files.create({ file: createReadStream(input), purpose: 'batch' });
  const batch = await client.batches.create({
    input_file_id: file.id,
    endpoint: options.endpoint,
    completion_window: options.window,
    ...(Object.keys(options.metadata).length > 0 ? { metadata: options.metadata } : {}),
  });
  process.stdout.write(`${batch.id}\n`);
  if (options.watch) await follow(client, batch.id, options);
}

/** Watches a batch to its end, saves its files where asked, and sets the exit code. */
export async function follow(
  client: OpenAI,
  id: string,
  options: { output?: string; errors?: string },
): Promise<BatchView> {
  const batch = await watchBatch(() => client.batches.retrieve(id), createProgress());
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

function collect(pair: string, all: Record<string, string>): Record<string, string> {
  const at = pair.indexOf('=');
  if (at < 1) throw new CommandError(`--metadata takes key=value, not '${pair}'.`);
  return { ...all, [pair.slice(0, at)]: pair.slice(at + 1) };
}
