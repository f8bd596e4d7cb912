import type { BatchDeps } from '@batchmill/batch';
import { invalid } from '@batchmill/contract';
import { UPLOAD_LIMITS, UrlSigner } from '@batchmill/files';
import { createGuard, type Guard } from '@batchmill/guard';
import { openRateLimit, type Queues, type RateLimit } from '@batchmill/queue';
import { BUILT_IN, type Policies } from '@batchmill/safety';
import { type Scaling, ScalingSignal, type SignalOptions } from '@batchmill/scaling';
import { createLogger, type Logger } from '@batchmill/telemetry';
import type { Receiver } from '@batchmill/triggers';
import { createSender, type EmitDeps } from '@batchmill/webhooks';
import { OpenAPIHono } from '@hono/zod-openapi';
import { cancelBatchRoute } from './batches/cancel.ts';
import { createBatchRoute } from './batches/create.ts';
import { deleteBatchRoute } from './batches/delete.ts';
import { estimateBatchRoute } from './batches/estimate.ts';
import { getBatchRoute } from './batches/get.ts';
import { listBatchesRoute } from './batches/list.ts';
import { batchResultsRoute } from './batches/results.ts';
import { retryBatchRoute } from './batches/retry.ts';
import { boundedTrigger } from './batches/trigger.ts';
import type { Api, Deps, Env, Limits } from './deps.ts';
import { docsRoutes } from './docs/page.ts';
import { fileContentRoute } from './files/content.ts';
import { createFileRoute } from './files/create.ts';
import { deleteFileRoute } from './files/delete.ts';
import { getFileRoute } from './files/get.ts';
import { listFilesRoute } from './files/list.ts';
import { healthzRoute } from './health/healthz.ts';
import { readyzRoute } from './health/readyz.ts';
import { type Access, authenticate, createAccess } from './http/access.ts';
import { onError } from './http/errors.ts';
import { notFound } from './http/not-found.ts';
import { limitRate, NO_LIMITS, type RequestQuota } from './http/quota.ts';
import { requestLog } from './http/request-log.ts';
import { securityHeaders } from './http/security-headers.ts';
import { getModelRoute } from './models/get.ts';
import { listModelsRoute } from './models/list.ts';
import { createModerationRoute } from './moderations/create.ts';
import { localModerator } from './moderations/local.ts';
import { declareSecurity } from './openapi.ts';
import { autoscaleRoute } from './operator/autoscale.ts';
import { metricsRoute } from './operator/metrics.ts';
import { queuesRoute } from './operator/queues.ts';
import { createTriggerRoute } from './triggers/create.ts';
import { deleteTriggerRoute } from './triggers/delete.ts';
import { postEventsRoute } from './triggers/events.ts';
import { getTriggerRoute } from './triggers/get.ts';
import { listTriggersRoute } from './triggers/list.ts';
import { createReceiver } from './triggers/receiver.ts';
import { rotateTriggerSecretRoute } from './triggers/rotate-secret.ts';
import { tryTriggerRoute } from './triggers/try.ts';
import { updateTriggerRoute } from './triggers/update.ts';
import { addPartRoute } from './uploads/add-part.ts';
import { cancelUploadRoute } from './uploads/cancel.ts';
import { completeUploadRoute } from './uploads/complete.ts';
import { createUploadRoute } from './uploads/create.ts';
import { createPartUrlsRoute } from './uploads/part-urls.ts';
import { createWebhookEndpointRoute } from './webhook-endpoints/create.ts';
import { deleteWebhookEndpointRoute } from './webhook-endpoints/delete.ts';
import { listWebhookDeliveriesRoute } from './webhook-endpoints/deliveries.ts';
import { getWebhookEndpointRoute } from './webhook-endpoints/get.ts';
import { listWebhookEndpointsRoute } from './webhook-endpoints/list.ts';
import { redeliverWebhookRoute } from './webhook-endpoints/redeliver.ts';
import { rotateWebhookSecretRoute } from './webhook-endpoints/rotate-secret.ts';
import { testWebhookEndpointRoute } from './webhook-endpoints/try.ts';
import { updateWebhookEndpointRoute } from './webhook-endpoints/update.ts';

/** 512 MB a file and 1 MB a JSON body; uploads as OpenAI has them. */
export const LIMITS: Limits = {
  fileBytes: 512 * 2 ** 20,
  jsonBytes: 2 ** 20,
  upload: UPLOAD_LIMITS,
  proxiedBytes: Number.POSITIVE_INFINITY,
};

/** As the settings have it where they are unset. */
export const SCALING: Scaling = { maxWorkers: 8, startSeconds: 120, pace: 0.5, patienceSeconds: 900 };

export interface ApiOptions {
  /** The bucket, and the way a batch is brought to the control worker's attention. */
  batch: BatchDeps;
  logger?: Logger;
  /** Default: `LIMITS`. */
  limits?: Partial<Limits>;
  /** What batches are judged by. Default: the built-in policy. */
  policies?: Policies;
  /** Names of the models that are served, for `GET /v1/models`. */
  models?: readonly string[];
  /** What `/readyz` asks beside the bucket, by name, e.g. the queue. */
  checks?: Readonly<Record<string, () => Promise<void>>>;
  /** Default: by the API keys in the bucket. */
  access?: Access;
  /** What a key may do that has no quota of its own. Default: anything. */
  quota?: RequestQuota;
  /** Counts requests; whoever makes it closes it. Default: in memory. */
  rate?: RateLimit;
  /** Where webhooks may go, and how a delivery is asked for. Default: public addresses; found by the sweep. */
  webhooks?: { guard: Guard; trigger: EmitDeps['trigger'] };
  /** How many workers there are and may be. Default: it is not known, and `SCALING`. */
  scaling?: { workers: SignalOptions['workers']; settings: Scaling };
  /** Opens what is the operator's, beside operators' keys in the bucket. */
  operatorKey?: string | null;
  /** The queues that operators may look into at `/operator/queues`. */
  queues?: Pick<Queues, 'bull'>;
  /** Takes the events of triggers; whoever makes it closes it. Default: one that is never closed. */
  receiver?: Receiver;
}

/** The HTTP API as a Hono app: served by `@hono/node-server`, which reads forms from the socket, or by `hono/aws-lambda`. */
export function createApi(options: ApiOptions): Api {
  const { bucket } = options.batch;
  const logger = options.logger ?? createLogger('api');
  const policies = options.policies ?? BUILT_IN;
  const batch = { ...options.batch, trigger: boundedTrigger(options.batch.trigger, logger) };
  const guard = options.webhooks?.guard ?? createGuard({});
  const deps: Deps = {
    bucket,
    batch,
    logger,
    access: options.access ?? createAccess(bucket),
    limits: { ...LIMITS, ...options.limits },
    policies,
    moderate: localModerator(),
    webhooks: { bucket, guard, sender: createSender(guard), trigger: options.webhooks?.trigger ?? (async () => {}) },
    receiver: options.receiver ?? createReceiver(batch, policies, logger),
    scaling: new ScalingSignal({
      bucket,
      workers: options.scaling?.workers ?? (() => Promise.reject(new Error('nobody says how many workers there are'))),
      model: options.models?.[0] ?? null,
      scaling: options.scaling?.settings ?? SCALING,
    }),
    operatorKey: options.operatorKey ?? null,
    queues: options.queues ?? null,
    models: options.models ?? [],
    checks: { bucket: () => bucket.check(), ...options.checks },
  };
  const api: Api = new OpenAPIHono<Env>({
    defaultHook: (result) => {
      // `data` is there at run time also when the parse failed: what came in.
      if (!result.success) throw invalid(result.error, 'data' in result ? result.data : undefined);
    },
  });
  api.onError(onError(logger));
  api.notFound(notFound(api));
  api.use(requestLog(logger), securityHeaders);
  api.use(
    '/v1/*',
    authenticate(deps.access, new UrlSigner(bucket), options.quota ?? NO_LIMITS),
    limitRate(options.rate ?? openRateLimit(null)),
  );
  declareSecurity(api);
  for (const register of ROUTES) register(api, deps);
  return api;
}

const ROUTES = [
  createFileRoute,
  listFilesRoute,
  getFileRoute,
  deleteFileRoute,
  fileContentRoute,
  createUploadRoute,
  addPartRoute,
  createPartUrlsRoute,
  completeUploadRoute,
  cancelUploadRoute,
  createBatchRoute,
  estimateBatchRoute,
  listBatchesRoute,
  getBatchRoute,
  cancelBatchRoute,
  retryBatchRoute,
  batchResultsRoute,
  deleteBatchRoute,
  createModerationRoute,
  createTriggerRoute,
  listTriggersRoute,
  getTriggerRoute,
  updateTriggerRoute,
  deleteTriggerRoute,
  tryTriggerRoute,
  rotateTriggerSecretRoute,
  postEventsRoute,
  createWebhookEndpointRoute,
  listWebhookEndpointsRoute,
  getWebhookEndpointRoute,
  updateWebhookEndpointRoute,
  rotateWebhookSecretRoute,
  deleteWebhookEndpointRoute,
  testWebhookEndpointRoute,
  listWebhookDeliveriesRoute,
  redeliverWebhookRoute,
  listModelsRoute,
  getModelRoute,
  healthzRoute,
  readyzRoute,
  metricsRoute,
  autoscaleRoute,
  queuesRoute,
  docsRoutes,
];
