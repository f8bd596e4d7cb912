import type { Command } from 'commander';
import { createClient, type ServerOptions, summary } from '../client.ts';
import { follow, withServer } from './submit.ts';

/** `watch`, `get`, `list` and `cancel`: one batch, or all, at a server. */
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
}
