import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { loadConfig } from '@batchmill/config';
import { createKey } from '@batchmill/keys';
import type OpenAI from 'openai';
import { createClient } from '../client.ts';
import { CommandError } from '../errors.ts';
import { withTemporaryService } from '../temporary-service.ts';
import type { ConnectOptions } from './connect.ts';

/** Runs `work` with a service inside this process. Its data are deleted when `work` is done, and stay where it is not. */
export async function withOwnService(
  options: Pick<ConnectOptions, 'folder' | 's3Prefix' | 'progress'>,
  onSignal: () => void,
  work: (client: OpenAI) => Promise<void>,
): Promise<void> {
  const home = join(options.folder, 'service');
  await mkdir(home, { recursive: true });
  process.env.LOG_LEVEL ??= 'error';
  const { limits } = loadConfig();
  await withTemporaryService(
    {
      name: 'bulk',
      home,
      progress: options.progress,
      config: {
        host: '127.0.0.1',
        port: 0,
        queueUrl: null,
        bucketUrl: null,
        // One batch, however large: nobody else is waiting.
        limits: { ...limits, batchItems: 10_000_000, batchBytes: 64 * 2 ** 30 },
        s3Inputs: options.s3Prefix === null ? {} : { '*': [options.s3Prefix] },
      },
    },
    async ({ api, bucket }, _config, listen) => {
      if (api === null) throw new CommandError('The API did not start.');
      listen(onSignal);
      // Other users of this machine can reach its port: what is in there is none of their business.
      const { key } = await createKey(bucket, { tenant: 'default', name: 'bulk' });
      await work(createClient({ url: api.url, key }));
    },
  );
  await rm(home, { recursive: true, force: true, maxRetries: 5 });
}
