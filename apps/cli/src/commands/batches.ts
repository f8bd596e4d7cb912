import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { createClient, type ServerOptions } from '../client.ts';
import { CommandError } from '../errors.ts';
import { summary } from '../watch.ts';
import { follow, pathOf, withServer } from './server.ts';

/** One batch, or all, at a server. */
export function watchCommand(command: Command): void {
  withServer(
    command
      .argument('<batch-id>')
      .option('-o, --output <file>', 'where the answers go')
      .option('-e, --errors <file>', 'where error lines go'),
  ).action(async (id: string, options: ServerOptions & { output?: string; errors?: string }) => {
    await follow(createClient(options), id, options);
  });
}

export function getCommand(command: Command): void {
  withServer(command.argument('<batch-id>')).action(async (id: string, options: ServerOptions) => {
    const batch = await createClient(options).batches.retrieve(id);
    process.stdout.write(`${JSON.stringify(batch, null, 2)}\n`);
  });
}

export function listCommand(command: Command): void {
  withServer(command.option('--limit <n>', 'at most this many', '20')).action(
    async (options: ServerOptions & { limit: string }) => {
      const page = await createClient(options).batches.list({ limit: Number(options.limit) });
      for (const batch of page.data) {
        const created = new Date(batch.created_at * 1000).toISOString().slice(0, 19).replace('T', ' ');
        const { total = 0, completed = 0, failed = 0 } = batch.request_counts ?? {};
        process.stdout.write(
          `${batch.id}  ${created}  ${batch.status.padEnd(11)}  ${completed + failed}/${total}${failed > 0 ? `  ${failed} failed` : ''}\n`,
        );
      }
    },
  );
}

export function cancelCommand(command: Command): void {
  withServer(command.argument('<batch-id>').option('--watch', 'wait until it has stopped', false)).action(
    async (id: string, options: ServerOptions & { watch: boolean }) => {
      const client = createClient(options);
      const batch = await client.batches.cancel(id);
      if (options.watch) await follow(client, id, {});
      else process.stderr.write(`${summary(batch)}\n`);
      process.exitCode = 0;
    },
  );
}

export function resultsCommand(command: Command): void {
  withServer(
    command.argument('<batch-id>').option('-o, --output <file>', 'where it goes (default: standard output)'),
  ).action(results);
}

export function deleteCommand(command: Command): void {
  withServer(command.argument('<batch-id>')).action(async (id: string, options: ServerOptions) => {
    await createClient(options).delete(pathOf(id));
    process.stderr.write(`${id} is deleted.\n`);
  });
}

async function results(id: string, options: ServerOptions & { output?: string }): Promise<void> {
  const response = await createClient(options)
    .get(`${pathOf(id)}/results`)
    .asResponse();
  if (response.body === null) throw new CommandError('The server sent no results.');
  const target = options.output === undefined ? process.stdout : createWriteStream(options.output);
  await pipeline(Readable.fromWeb(response.body), target, { end: options.output !== undefined });
  process.stderr.write(`The batch was ${response.headers.get('x-batch-status') ?? 'unknown'} when this began.\n`);
}
