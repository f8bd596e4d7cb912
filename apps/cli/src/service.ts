import { type ApiServer, serve } from '@batchmill/api';
import type { BatchDeps } from '@batchmill/batch';
import type { Bucket } from '@batchmill/bucket';
import type { Config } from '@batchmill/config';
import { retentionOf } from '@batchmill/files';
import { createGuard } from '@batchmill/guard';
import { openQueues, openRateLimit, type Queues, startEmbeddedPostgres } from '@batchmill/queue';
import { loadPolicies, type Policies } from '@batchmill/safety';
import { type Logger, startTraces } from '@batchmill/telemetry';
import { startWorker } from '@batchmill/worker';
import { openConfiguredBucket } from './bucket.ts';
import { lockHome } from './lock.ts';

export interface Service {
  bucket: Bucket;
  queues: Queues;
  batch: BatchDeps;
  policies: Policies;
  /** `null` if the service was asked for without its API. */
  api: ApiServer | null;
  /** Stops everything in order: API, workers, queue, bucket. What is running goes on at the next start. */
  close(): Promise<void>;
}

export interface ServiceOptions {
  config: Config;
  log: Logger;
  /** `false`: no HTTP, for work inside this process. */
  api?: boolean;
  /** `false`: nothing will go on from here later, so nothing of the embedded queue stays behind. */
  keep?: boolean;
  onProgress?: (message: string, done?: number, total?: number) => void;
  onWarning?: (warning: string) => void;
}

/**
 * Everything in one process: API, control and infer, on the configured queue and bucket or the embedded ones. This is what
 * `npm start`, `npm run demo` and `batchmill run` are made of; a cluster runs the same parts as processes of their own.
 */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { config, log, onProgress, onWarning } = options;
  // Opened one after the other, closed in reverse, also when one of them fails to open.
  const closers: (() => Promise<void>)[] = [];
  const close = async () => {
    for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) await closer();
  };
  try {
    const policies = await loadPolicies(config.safety.policies);
    closers.push(await lockHome(config.home));
    closers.push(await startTraces('service'));
    const bucket = await openConfiguredBucket(config);
    closers.push(() => bucket.close());

    let queueUrl = config.queueUrl;
    if (queueUrl === null) {
      onProgress?.('starting the embedded queue');
      const postgres = await startEmbeddedPostgres(config.home, { keep: options.keep ?? true });
      closers.push(() => postgres.stop());
      queueUrl = postgres.url;
    }
    const queues = await openQueues(queueUrl);
    closers.push(() => queues.close());

    const batch: BatchDeps = {
      bucket,
      trigger: (tenant, batchId) => queues.triggerReconcile({ tenant, batchId }),
      limits: { inputBytes: config.limits.batchBytes },
      retention: (tenant) => retentionOf(config.retention, tenant),
    };
    // Everything is here, so whoever is told by a webhook of this machine finds the API at its own address.
    const local = config.host === '127.0.0.1' && config.port !== 0 ? `http://127.0.0.1:${config.port}` : null;
    const worker = await startWorker({
      roles: ['control', 'infer'],
      config: { ...config, publicUrl: config.publicUrl ?? local },
      bucket,
      queues,
      log,
      ...(onProgress === undefined ? {} : { onProgress }),
      ...(onWarning === undefined ? {} : { onWarning }),
    });
    closers.push(() => worker.close());

    let api: ApiServer | null = null;
    if (options.api !== false) {
      // The embedded queue is of this process alone: counting in memory is enough.
      const rate = openRateLimit(config.queueUrl);
      closers.push(() => rate.close());
      api = await serve({
        batch,
        logger: log,
        host: config.host,
        port: config.port,
        policies,
        webhooks: {
          guard: createGuard({ allow: config.fetch.allow, allowHttp: config.fetch.http }),
          trigger: (job) => queues.triggerDeliver(job),
        },
        operatorKey: config.operatorKey,
        queues,
        scaling: { workers: () => queues.workers(), settings: config.scaling },
        models: [config.model.name],
        limits: { fileBytes: config.limits.fileBytes },
        quota: config.quota,
        rate,
        checks: { queue: () => queues.check(), engine: async () => worker.infer?.engine.health() },
      });
      const server = api;
      closers.push(() => server.close());
    }
    return { bucket, queues, batch, policies, api, close };
  } catch (error) {
    await close();
    throw error;
  }
}
