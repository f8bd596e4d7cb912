import { BucketUnavailableError, BucketUrlError, openBucket } from '@batchmill/bucket';
import { ConfigError, keepHeapSmall, loadConfig } from '@batchmill/config';
import { retentionOf } from '@batchmill/files';
import { createGuard } from '@batchmill/guard';
import { openQueues, openRateLimit, QueueUnavailableError } from '@batchmill/queue';
import { loadPolicies, PolicyError } from '@batchmill/safety';
import { createLogger, startTraces } from '@batchmill/telemetry';
import { serve } from './server.ts';

/**
 * The API process: `node apps/api/src/main.ts`. Needs BUCKET_URL and QUEUE_URL, since it shares both with the workers.
 * SIGTERM lets running requests finish.
 */
const log = createLogger('api');

async function main(): Promise<void> {
  keepHeapSmall();
  const config = loadConfig();
  if (config.bucketUrl === null || config.queueUrl === null)
    throw new ConfigError('Set BUCKET_URL and QUEUE_URL. To run everything in one process instead: npm start');
  const policies = await loadPolicies(config.safety.policies);
  const endTraces = await startTraces('api');
  const bucket = await openBucket(config.bucketUrl);
  const queues = await openQueues(config.queueUrl);
  const rate = openRateLimit(config.queueUrl);
  const server = await serve({
    host: config.host,
    port: config.port,
    batch: {
      bucket,
      trigger: (tenant, batchId) => queues.triggerReconcile({ tenant, batchId }),
      limits: { inputBytes: config.limits.batchBytes },
      retention: (tenant) => retentionOf(config.retention, tenant),
    },
    limits: { fileBytes: config.limits.fileBytes },
    quota: config.quota,
    rate,
    policies,
    webhooks: {
      guard: createGuard({ allow: config.fetch.allow, allowHttp: config.fetch.http }),
      trigger: (job) => queues.triggerDeliver(job),
    },
    operatorKey: config.operatorKey,
    queues,
    scaling: { workers: () => queues.workers(), settings: config.scaling },
    models: [config.model.name],
    checks: { queue: () => queues.check() },
    logger: log,
  });
  log.info({ url: server.url, bucket: bucket.url, queue: queues.kind }, 'the API is up');

  let stopping = false;
  const stop = async (signal: string) => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'stopping');
    await server.close();
    await rate.close();
    await queues.close();
    await bucket.close();
    await endTraces();
    log.info('stopped');
    process.exit(0);
  };
  process.on('SIGTERM', () => void stop('SIGTERM'));
  process.on('SIGINT', () => void stop('SIGINT'));
}

main().catch((error: unknown) => {
  const told = [ConfigError, PolicyError, BucketUrlError, BucketUnavailableError, QueueUnavailableError].some(
    (k) => error instanceof k,
  );
  if (told && error instanceof Error) process.stderr.write(`${error.message}\n`);
  else log.fatal({ err: error }, 'the API could not start');
  process.exit(1);
});
