import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { startRedis } from '../servers/redis.ts';
import { startStack } from '../servers/stack.ts';
import { endToEnd } from './suite.ts';

endToEnd('Redis and a file bucket, three processes', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'batchmill-e2e-'));
  const redis = await startRedis();
  const stack = await startStack({ queueUrl: redis.url, bucketUrl: pathToFileURL(folder).href });
  return {
    url: stack.url,
    stop: async () => {
      await stack.stop();
      await redis.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
});
