import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { freePorts } from '../test/servers/ports.ts';
import { startRedis } from '../test/servers/redis.ts';
import { ServiceProcess } from '../test/servers/service.ts';

/** An API process and a control worker on Redis and a bucket in a folder; no infer worker. What benchmarks of the API ask. */
export interface ApiStack {
  url: string;
  api: ServiceProcess;
  stop(): Promise<void>;
}

/** @param more settings of both processes */
export async function startApiStack(more: Record<string, string> = {}): Promise<ApiStack> {
  const folder = await mkdtemp(join(tmpdir(), 'batchmill-bench-'));
  const [port = 0] = await freePorts(1);
  const redis = await startRedis();
  const bucket = pathToFileURL(join(folder, 'bucket')).href;
  const env = { QUEUE_URL: redis.url, BUCKET_URL: bucket, PORT: String(port), LOG_LEVEL: 'info', ...more };
  const api = await ServiceProcess.start({
    entry: 'apps/api/src/main.ts',
    env,
    ready: (printed) => printed.includes('the API is up'),
  });
  const control = await ServiceProcess.start({
    entry: 'apps/worker/src/main.ts',
    args: ['--roles', 'control'],
    env,
    ready: (printed) => printed.includes('worker is up'),
  });
  return {
    url: `http://127.0.0.1:${port}`,
    api,
    stop: async () => {
      await api.end();
      await control.end();
      await redis.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
