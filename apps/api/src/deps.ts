import type { BatchDeps } from '@batchmill/batch';
import type { Bucket } from '@batchmill/bucket';
import type { ModerationResult } from '@batchmill/contract';
import type { UploadLimits } from '@batchmill/files';
import type { Guard } from '@batchmill/guard';
import type { Queues } from '@batchmill/queue';
import type { Policies, Policy } from '@batchmill/safety';
import type { ScalingSignal } from '@batchmill/scaling';
import type { Logger } from '@batchmill/telemetry';
import type { Receiver } from '@batchmill/triggers';
import type { EmitDeps, Sender } from '@batchmill/webhooks';
import type { HttpBindings } from '@hono/node-server';
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Access } from './http/access.ts';
import type { RequestQuota } from './http/quota.ts';

/** Sizes in bytes. */
export interface Limits {
  /** A file of `POST /v1/files`. */
  fileBytes: number;
  /** A JSON body. */
  jsonBytes: number;
  /** `POST /v1/uploads` and its parts. */
  upload: UploadLimits;
  /** Files over this size are downloaded from the bucket, to which the answer redirects. Infinity: all through the API. */
  proxiedBytes: number;
}

/** What the routes work with. */
export interface Deps {
  bucket: Bucket;
  batch: BatchDeps;
  logger: Logger;
  access: Access;
  limits: Limits;
  /** What batches are judged by. */
  policies: Policies;
  /** Judges texts by a policy's filters that compute by themselves. */
  moderate(policy: Policy, texts: readonly string[], signal: AbortSignal): Promise<ModerationResult[]>;
  /** Judges URLs of webhooks, and posts to them for tests. */
  webhooks: WebhookDeps;
  /** Takes the events of triggers. */
  receiver: Receiver;
  /** The work that waits, how fast workers are, and how many there may be. */
  scaling: ScalingSignal;
  /** Opens what is the operator's, beside operators' keys in the bucket; `null`: none does. */
  operatorKey: string | null;
  /** The queues that operators may look into; `null`: none. */
  queues: Pick<Queues, 'bull'> | null;
  /** Names of the models that are served, for `GET /v1/models`. */
  models: readonly string[];
  /** What `/readyz` asks, by name. A check that throws says in its message what is wrong. */
  checks: Readonly<Record<string, () => Promise<void>>>;
}

export interface WebhookDeps extends EmitDeps {
  guard: Guard;
  sender: Sender;
}

export interface Env {
  /** Of `@hono/node-server`; on Lambda there is no socket. */
  Bindings: Partial<HttpBindings>;
  Variables: {
    /** `req_…`, ours: on the response, in the log, and in the message of an unexpected error. */
    requestId: string;
    /** Whose bucket keys this request may touch. Set for every route under `/v1`. */
    tenant: string;
    /** Id of the key that was used, if the service has keys. */
    key: string | null;
    /** What the request's line in the log names beside its path: the batch it made. */
    about?: Record<string, string>;
    /** Name of the content policy of the key that was used, if it has one. */
    policy: string | null;
    /** What the key may do. Set for every route under `/v1` but events of triggers, which have no key. */
    quota: RequestQuota;
  };
}

export type Api = OpenAPIHono<Env>;
