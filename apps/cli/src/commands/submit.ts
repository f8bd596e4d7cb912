import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { createClient, type ServerOptions } from '../client.ts';
import { CommandError } from '../errors.ts';
import { follow, withServer } from './server.ts';

interface SubmitOptions extends ServerOptions {
  endpoint: '/v1/chat/completions';
  window: '24h';
  metadata: Record<string, string>;
  watch: boolean;
  output?: string;
  errors?: string;
}

export function submitCommand(command: Command): void {
  withServer(
    command
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

function collect(pair: string, all: Record<string, string>): Record<string, string> {
  const at = pair.indexOf('=');
  if (at < 1) throw new CommandError(`--metadata takes key=value, not '${pair}'.`);
  return { ...all, [pair.slice(0, at)]: pair.slice(at + 1) };
}
