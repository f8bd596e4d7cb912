import { type Bucket, idOfIndexKey, layout } from '@batchmill/bucket';
import {
  type BatchCreate,
  type BatchObject,
  isId,
  newId,
  type Page,
  page,
  RequestError,
  windowSeconds,
} from '@batchmill/contract';
import { getFile } from '@batchmill/files';
import { BatchFact, CancelFact, readFact } from './state.ts';
import { accepted, viewBatch } from './view.ts';

export interface BatchDeps {
  bucket: Bucket;
  /** Queues a look at the batch. May fail: the sweep finds every open batch by itself. */
  trigger(tenant: string, batchId: string): Promise<void>;
  limits?: {
    /** Largest input file in bytes. Default 200 MB, as OpenAI's. */
    inputBytes?: number;
  };
}

const seconds = () => Math.floor(Date.now() / 1000);

/** What a batch is made with beside its request. */
export interface BatchOptions {
  /** Hash of the stored content policy its answers are judged by; default: the built-in one. */
  policy?: string;
  /** The webhook endpoint of this batch alone, which exists already. */
  webhook?: BatchFact['webhook'];
  /** The API key it was made with. */
  key?: string | null;
  /** Of an earlier attempt: the batch is made once. */
  id?: string;
}

/**
 * Accepts a batch. When this returns, the batch is in the bucket and will be run, whatever happens to the queue.
 * @throws RequestError 400 if the input file does not exist, has another purpose than `batch`, or is too large.
 */
export async function createBatch(
  deps: BatchDeps,
  tenant: string,
  input: BatchCreate,
  { policy, webhook, key, id = newId('batch_') }: BatchOptions = {},
): Promise<BatchObject> {
  const { bucket } = deps;
  const file = isId('file-', input.input_file_id) ? await getFile(bucket, tenant, input.input_file_id) : null;
  const param = 'input_file_id';
  if (file === null)
    throw new RequestError(400, `No such file: '${input.input_file_id}'. Upload it first with purpose "batch".`, {
      code: 'file_not_found',
      param,
    });
  if (file.purpose !== 'batch')
    throw new RequestError(400, `The input file's purpose is "${file.purpose}"; it must be "batch".`, {
      code: 'invalid_file_purpose',
      param,
    });
  const most = deps.limits?.inputBytes ?? 200 * 1024 * 1024;
  if (file.bytes > most)
    throw new RequestError(
      400,
      `The input file has ${file.bytes} bytes; the limit is ${most}. Split it into several batches.`,
      {
        code: 'file_too_large',
        param,
      },
    );

  const now = seconds();
  const fact: BatchFact = {
    id,
    tenant,
    created_at: now,
    expires_at: now + windowSeconds(input.completion_window),
    input_file_id: file.id,
    endpoint: input.endpoint,
    completion_window: input.completion_window,
    metadata: input.metadata ?? null,
    output_lifetime: input.output_expires_after?.seconds ?? null,
    empty_output_file: input.empty_output_file ?? false,
    policy: policy ?? null,
    webhook: webhook ?? null,
    key: key ?? null,
  };
  // The index entries come first: one that points nowhere is skipped, a batch without them would never be run.
  const entries = [layout.batch.open(tenant, id), layout.batch.index(tenant, id)];
  const enter = () => Promise.all(entries.map((key) => bucket.put(key, '')));
  await enter();
  // With an id of an earlier attempt: the batch that is there stays as it is.
  await bucket.create(layout.batch.batch(tenant, id), JSON.stringify(fact));
  // Gone only if this took so long, or another's clock is so wrong, that `reconcile` has given the batch up.
  if ((await bucket.head(layout.batch.open(tenant, id))) === null) await enter();
  await deps.trigger(tenant, id).catch(() => {});
  // As it was accepted, even if somebody has begun with it by now: a new batch is `validating`, clients rely on that.
  return accepted(fact);
}

/** A batch of this tenant, or `null`. */
export async function getBatch(deps: BatchDeps, tenant: string, id: string): Promise<BatchObject | null> {
  return isId('batch_', id) ? viewBatch(deps.bucket, tenant, id) : null;
}

/** Batches newest first, from the one after `after`. */
export async function listBatches(
  deps: BatchDeps,
  tenant: string,
  options: { after?: string; limit: number },
): Promise<Page<BatchObject>> {
  const { after, limit } = options;
  if (after !== undefined && !isId('batch_', after))
    throw new RequestError(400, `No such batch: '${after}'.`, { code: 'invalid_value', param: 'after' });
  const ids: string[] = [];
  const from = after === undefined ? {} : { after: layout.batch.index(tenant, after) };
  for await (const { key } of deps.bucket.list(layout.batch.indexPrefix(tenant), from)) {
    ids.push(idOfIndexKey(key));
    if (ids.length > limit) break;
  }
  const views = await Promise.all(ids.slice(0, limit).map((id) => viewBatch(deps.bucket, tenant, id)));
  return page(
    views.filter((v) => v !== null),
    ids.length > limit,
  );
}

/**
 * Asks for a batch to stop. Finished items are delivered, the others become `batch_cancelled` error lines.
 * Asking again while it stops changes nothing.
 * @returns the batch, now `cancelling`, or `null` if there is none.
 * @throws RequestError 409 if it has ended or is putting its files together.
 */
export async function cancelBatch(deps: BatchDeps, tenant: string, id: string): Promise<BatchObject | null> {
  const batch = await getBatch(deps, tenant, id);
  if (batch === null) return null;
  if (batch.status !== 'validating' && batch.status !== 'in_progress' && batch.status !== 'cancelling')
    throw new RequestError(409, `Cannot cancel a batch with status '${batch.status}'.`, {
      code: 'batch_not_cancellable',
    });
  await deps.bucket.create(
    layout.batch.cancel(tenant, id),
    JSON.stringify({ cancelling_at: seconds() } satisfies CancelFact),
  );
  await deps.trigger(tenant, id).catch(() => {});
  return viewBatch(deps.bucket, tenant, id);
}

/** What the answers of a batch are judged by, and for whom, for the audit log. `null`s if there is no such batch. */
export async function judgedBy(
  bucket: Bucket,
  tenant: string,
  id: string,
): Promise<{ policy: string | null; key: string | null }> {
  const fact = await readFact(bucket, layout.batch.batch(tenant, id), BatchFact);
  return { policy: fact?.policy ?? null, key: fact?.key ?? null };
}

/** True once somebody asked for this batch to be cancelled. */
export async function isCancelled(bucket: Bucket, tenant: string, id: string): Promise<boolean> {
  return (await readFact(bucket, layout.batch.cancel(tenant, id), CancelFact)) !== null;
}
