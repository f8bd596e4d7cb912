import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { cancelBatch, createBatch, getBatch } from '@batchmill/batch';
import type { Bucket } from '@batchmill/bucket';
import { BatchCreate, invalid } from '@batchmill/contract';
import { createFile, readFile } from '@batchmill/files';
import { storePolicy } from '@batchmill/safety';
import type { Command } from 'commander';
import { CommandError } from '../errors.ts';
import { createProgress } from '../progress.ts';
import { withTemporaryService } from '../temporary-service.ts';
import { exitCode, summary, watchBatch } from '../watch.ts';

interface RunOptions {
  output: string;
  errors?: string;
  endpoint: string;
  window: string;
  policy?: string;
}

export function runCommand(command: Command): void {
  command
    .argument('<input.jsonl>', 'lines of {"custom_id","method":"POST","url","body"}')
    .requiredOption('-o, --output <file>', 'where the answers go')
    .option('-e, --errors <file>', 'where error lines go (default: <output>.errors.jsonl, if there are any)')
    .option('--endpoint <url>', 'endpoint of all lines', '/v1/chat/completions')
    .option('--window <time>', 'completion window', '24h')
    .option('--policy <name>', 'content policy beside the default one (POLICIES)')
    .action(run);
}

const TENANT = 'default';

async function run(input: string, options: RunOptions): Promise<void> {
  const info = await stat(input).catch(() => null);
  if (info === null || !info.isFile()) throw new CommandError(`There is no file '${input}'.`);
  const progress = createProgress();
  process.env.LOG_LEVEL ??= 'warn';
  await withTemporaryService(
    { name: 'run', progress, api: false },
    async ({ bucket, batch: deps, policies }, _config, listen) => {
      progress.update('reading the input');
      const file = await createFile(bucket, TENANT, {
        filename: basename(input),
        purpose: 'batch',
        source: createReadStream(input),
      });
      const request = BatchCreate.safeParse({
        input_file_id: file.id,
        endpoint: options.endpoint,
        completion_window: options.window,
      });
      if (!request.success) throw new CommandError(invalid(request.error).message);
      const policy = await storePolicy(
        bucket,
        policies.resolve(TENANT, options.policy === undefined ? [] : [options.policy]),
      );
      const { id } = await createBatch(deps, TENANT, request.data, { policy });
      listen(() => {
        progress.end('Cancelling: what is finished will be written. Press Ctrl-C again to drop it.');
        void cancelBatch(deps, TENANT, id).catch(() => {});
      });
      const view = async () => {
        const batch = await getBatch(deps, TENANT, id);
        if (batch === null) throw new CommandError(`Batch ${id} has vanished from the bucket.`);
        return batch;
      };
      const batch = await watchBatch(view, progress, { everyMs: 200 });
      const errors = options.errors ?? `${options.output}.errors.jsonl`;
      await save(bucket, batch.output_file_id, options.output);
      await save(bucket, batch.error_file_id, errors);
      process.stderr.write(`${summary(batch)}\n`);
      if (batch.output_file_id != null) process.stderr.write(`  answers  ${options.output}\n`);
      if (batch.error_file_id != null) process.stderr.write(`  errors   ${errors}\n`);
      process.exitCode = exitCode(batch);
    },
  );
}

async function save(bucket: Bucket, id: string | null | undefined, path: string): Promise<void> {
  if (id == null) return;
  const stream = await readFile(bucket, TENANT, id);
  if (stream === null) throw new CommandError(`The result file ${id} has vanished from the bucket.`);
  await pipeline(stream, createWriteStream(path));
}
