import { openBucket } from '@batchmill/bucket';
import { ConfigError, loadConfig } from '@batchmill/config';
import { createGuard } from '@batchmill/guard';
import { anyKeys } from '@batchmill/keys';
import { openQueues, type Queues } from '@batchmill/queue';
import { loadPolicies } from '@batchmill/safety';
import { createLogger } from '@batchmill/telemetry';
import { createApi } from '../api.ts';
import type { Api } from '../deps.ts';

/**
 * Lambda hands over 6 MB at most, a fifth less where it is base64, and takes back as much from a function that does not stream: larger
 * files go to the bucket and come from it directly.
 */
const MOST_BYTES = 4 * 2 ** 20;

/**
 * The API of this sandbox, with connections that outlive a request.
 *
 * @throws ConfigError if settings are missing, or nobody has made an API key yet: a function's address is public
 */
export async function openApi(env: NodeJS.ProcessEnv = process.env): Promise<Api> {
  const logger = createLogger('api');
  const config = loadConfig(env);
  if (config.bucketUrl === null || config.queueUrl === null)
    throw new ConfigError('Set BUCKET_URL and QUEUE_URL: a function shares both with the workers.');
  const { queueUrl } = config;
  const [policies, bucket] = await Promise.all([loadPolicies(config.safety.policies), openBucket(config.bucketUrl)]);
  // With the first request that needs it: half of a cold start is the queue, and reading needs none.
  let opened: Promise<Queues> | undefined;
  const queues = async () => {
    opened ??= openQueues(queueUrl);
    try {
      return await opened;
    } catch (error) {
      // The next one tries again: its server may have been away.
      opened = undefined;
      throw error;
    }
  };
  if (!(await anyKeys(bucket)))
    throw new ConfigError(
      "There is no API key, and a function's address is public: run 'batchmill keys create' first.",
    );
  return createApi({
    batch: {
      bucket,
      trigger: async (tenant, batchId) => (await queues()).triggerReconcile({ tenant, batchId }),
      limits: { inputBytes: config.limits.batchBytes },
    },
    limits: { fileBytes: Math.min(config.limits.fileBytes, MOST_BYTES), proxiedBytes: MOST_BYTES },
    policies,
    webhooks: {
      guard: createGuard({ allow: config.fetch.allow, allowHttp: config.fetch.http }),
      trigger: async (job) => (await queues()).triggerDeliver(job),
    },
    operatorKey: config.operatorKey,
    scaling: { workers: async () => (await queues()).workers(), settings: config.scaling },
    models: [config.model.name],
    checks: { queue: async () => (await queues()).check() },
    logger,
  });
}
