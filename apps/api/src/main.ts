import { openBucket } from '@batchmill/bucket';
import { ConfigError, keepHeapSmall, loadConfig } from '@batchmill/config';
import { retentionOf } from '@batchmill/files';
import { createGuard } from '@batchmill/guard';
import { openQueues, openRateLimit } from '@batchmill/queue';
import { loadPolicies } from '@batchmill/safety';
import { createLogger, endInOrder, failedStart, startTraces } from '@batchmill/telemetry';
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

  endInOrder(log, async () => {
    await server.close();
    await rate.close();
    await queues.close();
    await bucket.close();
    await endTraces();
  });
}

main().catch((error: unknown) => failedStart(log, error));
