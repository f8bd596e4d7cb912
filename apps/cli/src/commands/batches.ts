import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { RetryKind } from '@batchmill/contract';
import type { Command } from 'commander';
import { z } from 'zod';
import { createClient, type ServerOptions, summary } from '../client.ts';
import { CommandError } from '../errors.ts';
import { follow, withServer } from './submit.ts';

/** `watch`, `get`, `list`, `cancel`, `retry`, `results` and `delete`: one batch, or all, at a server. */
export function batchCommands(program: Command): void {
  withServer(
    program
      .command('watch')
      .description('show a batch’s progress until it has ended')
      .argument('<batch-id>')
      .option('-o, --output <file>', 'where the answers go')
      .option('-e, --errors <file>', 'where error lines go'),
  ).action(async (id: string, options: ServerOptions & { output?: string; errors?: string }) => {
    await follow(createClient(options), id, options);
  });

  withServer(program.command('get').description('print a batch as JSON').argument('<batch-id>')).action(
    async (id: string, options: ServerOptions) => {
      const batch = await createClient(options).batches.retrieve(id);
      process.stdout.write(`${JSON.stringify(batch, null, 2)}\n`);
    },
  );

  withServer(
    program.command('list').description('batches, newest first').option('--limit <n>', 'at most this many', '20'),
  ).action(async (options: ServerOptions & { limit: string }) => {
    const page = await createClient(options).batches.list({ limit: Number(options.limit) });
    for (const batch of page.data) {
      const created = new Date(batch.created_at * 1000).toISOString().slice(0, 19).replace('T', ' ');
      const { total = 0, completed = 0, failed = 0 } = batch.request_counts ?? {};
      process.stdout.write(
        `${batch.id}  ${created}  ${batch.status.padEnd(11)}  ${completed + failed}/${total}${failed > 0 ? `  ${failed} failed` : ''}\n`,
      );
    }
  });

  withServer(
    program
      .command('cancel')
      .description('stop a batch; what is finished is delivered')
      .argument('<batch-id>')
      .option('--watch', 'wait until it has stopped', false),
  ).action(async (id: string, options: ServerOptions & { watch: boolean }) => {
    const client = createClient(options);
    const batch = await client.batches.cancel(id);
    if (options.watch) await follow(client, id, {});
    else process.stderr.write(`${summary(batch)}\n`);
    process.exitCode = 0;
  });

  withServer(
    program
      .command('retry')
      .description('make a batch of the lines that failed, expired or were cancelled; with --watch, wait for it')
      .argument('<batch-id>')
      .option('--only <kinds>', `of ${KINDS.join(', ')}; separated by commas (default: failed,expired,cancelled)`)
      .option('--window <time>', 'completion window (default: as before)')
      .option('--watch', 'show progress until it has ended', false)
      .option('-o, --output <file>', 'with --watch: where the answers go')
      .option('-e, --errors <file>', 'with --watch: where error lines go'),
  ).action(retry);

  withServer(
    program
      .command('results')
      .description('what is finished of a batch so far, as JSONL: answers and errors')
      .argument('<batch-id>')
      .option('-o, --output <file>', 'where it goes (default: standard output)'),
  ).action(results);

  withServer(
    program
      .command('delete')
      .description('delete a batch that has ended, with its results; its input file stays')
      .argument('<batch-id>'),
  ).action(async (id: string, options: ServerOptions) => {
    await createClient(options).delete(pathOf(id));
    process.stderr.write(`${id} is deleted.\n`);
  });
}

const KINDS = RetryKind.options;

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

async function results(id: string, options: ServerOptions & { output?: string }): Promise<void> {
  const response = await createClient(options)
    .get(`${pathOf(id)}/results`)
    .asResponse();
  if (response.body === null) throw new CommandError('The server sent no results.');
  const target = options.output === undefined ? process.stdout : createWriteStream(options.output);
  await pipeline(Readable.fromWeb(response.body), target, { end: options.output !== undefined });
  process.stderr.write(`The batch was ${response.headers.get('x-batch-status') ?? 'unknown'} when this began.\n`);
}

function pathOf(id: string): string {
  return `/batches/${encodeURIComponent(id)}`;
}
