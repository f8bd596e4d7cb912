import { RetryKind } from '@batchmill/contract';
import type { Command } from 'commander';
import { z } from 'zod';
import { createClient, type ServerOptions } from '../client.ts';
import { CommandError } from '../errors.ts';
import { follow, pathOf, withServer } from './server.ts';

const KINDS = RetryKind.options;

export function retryCommand(command: Command): void {
  withServer(
    command
      .argument('<batch-id>')
      .option('--only <kinds>', `of ${KINDS.join(', ')}; separated by commas (default: failed,expired,cancelled)`)
      .option('--window <time>', 'completion window (default: as before)')
      .option('--watch', 'show progress until it has ended', false)
      .option('-o, --output <file>', 'with --watch: where the answers go')
      .option('-e, --errors <file>', 'with --watch: where error lines go'),
  ).action(retry);
}

interface RetryOptions extends ServerOptions {
  only?: string;
  window?: string;
  watch: boolean;
  output?: string;
  errors?: string;
}

async function retry(id: string, options: RetryOptions): Promise<void> {
  const only = options.only?.split(',').map((kind) => kind.trim());
  const wrong = only?.find((kind) => !RetryKind.safeParse(kind).success);
  if (wrong !== undefined) throw new CommandError(`--only takes ${KINDS.join(', ')}, not '${wrong}'.`);
  const client = createClient(options);
  const body = {
    ...(only === undefined ? {} : { only }),
    ...(options.window === undefined ? {} : { completion_window: options.window }),
  };
  const { id: made } = RetriedBatch.parse(await client.post(`${pathOf(id)}/retry`, { body }));
  process.stdout.write(`${made}\n`);
  if (options.watch) await follow(client, made, options);
}

/** What is looked at of the answer. */
const RetriedBatch = z.object({ id: z.string() });
