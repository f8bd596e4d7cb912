import { type Bucket, idOfIndexKey, layout } from '@batchmill/bucket';
import {
  type BatchCreate,
  type BatchObject,
  type FileObject,
  isId,
  newId,
  type Page,
  page,
  RequestError,
  windowSeconds,
} from '@batchmill/contract';
import { getFile, lifetime, type Retention, secondsOf } from '@batchmill/files';
import { admit, countItems, heldKey, NO_QUOTA, type Quota } from './quota.ts';
import { type BatchFact, CancelFact, readFact } from './state.ts';
import { accepted, viewBatch } from './view.ts';

export interface BatchDeps {
  bucket: Bucket;
  /** Queues a look at the batch. May fail: the sweep finds every open batch by itself. */
  trigger(tenant: string, batchId: string): Promise<void>;
  limits?: {
    /** Largest input file in bytes. Default 200 MB, as OpenAI's. */
    inputBytes?: number;
  };
  /** How long what a tenant has is kept at most. Default: until somebody deletes it. */
  retention?: (tenant: string) => Retention;
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
  /** What the key may have queued. Default: anything. */
  quota?: Quota;
  /** Names of the content policies that `policy` was made of at the request's wish. */
  policies?: string[];
  /** The batch whose lines it does again, and how many they are. */
  retry?: NonNullable<BatchFact['retry_of']> & { items: number; of: number };
  /** Of an earlier attempt: the batch is made once. */
  id?: string;
}

/**
 * Accepts a batch. When this returns, the batch is in the bucket and will be run, whatever happens to the queue.
 * @throws RequestError 400 if the input file does not exist, has another purpose than `batch`, or is too large; 429 if the key
 *   has as much in the queue as it may.
 */
export async function createBatch(
  deps: BatchDeps,
  tenant: string,
  input: BatchCreate,
  options: BatchOptions = {},
): Promise<BatchObject> {
  const { bucket } = deps;
  const { id = newId('batch_'), key = null, quota = NO_QUOTA, retry } = options;
  const file = await inputFile(deps, tenant, input.input_file_id);
  const now = seconds();
  const asked = input.output_expires_after?.seconds ?? null;
  const held = {
    // Counted only where it matters: it reads the file.
    items: retry?.items ?? (quota.items === null ? 0 : await countItems(bucket, tenant, file.id)),
    bytes: retry === undefined ? file.bytes : Math.ceil((file.bytes * retry.items) / Math.max(1, retry.of)),
  };
  const fact: BatchFact = {
    id,
    tenant,
    created_at: now,
    expires_at: now + windowSeconds(input.completion_window),
    input_file_id: file.id,
    endpoint: input.endpoint,
    completion_window: input.completion_window,
    metadata: input.metadata ?? null,
    output_lifetime: lifetime('batch_output', asked, secondsOf(deps.retention?.(tenant).results ?? null)),
    empty_output_file: input.empty_output_file ?? false,
    policy: options.policy ?? null,
    policies: options.policies ?? [],
    webhook: options.webhook ?? null,
    key,
    held,
    retry_of:
      retry === undefined ? null : { batch_id: retry.batch_id, error_file_id: retry.error_file_id, only: retry.only },
  };
  await admit(bucket, { tenant, key }, quota, held, () => store(bucket, fact));
  await deps.trigger(tenant, id).catch(() => {});
  // As it was accepted, even if somebody has begun with it by now: a new batch is `validating`, clients rely on that.
  return accepted(fact);
}

/** Writes a batch, unless it is there from an earlier attempt, and what finds it. */
async function store(bucket: Bucket, fact: BatchFact): Promise<void> {
  const { tenant, id } = fact;
  const held = heldKey(fact);
  // The index entries come first: one that points nowhere is skipped, a batch without them would never be run.
  const entries = [layout.batch.open(tenant, id), layout.batch.index(tenant, id), ...(held === null ? [] : [held])];
  const enter = () => Promise.all(entries.map((key) => bucket.put(key, '')));
  await enter();
  await bucket.create(layout.batch.batch(tenant, id), JSON.stringify(fact));
  // Gone only if this took so long, or another's clock is so wrong, that `reconcile` has given the batch up.
  if ((await bucket.head(layout.batch.open(tenant, id))) === null) await enter();
}

/**
 * The file a batch can be made of.
 * @throws RequestError 400 if it does not exist, has another purpose than `batch`, or is too large.
 */
export async function inputFile(
  deps: Pick<BatchDeps, 'bucket' | 'limits'>,
  tenant: string,
  id: string,
): Promise<FileObject> {
  const { bucket } = deps;
  const file = isId('file-', id) ? await getFile(bucket, tenant, id) : null;
  const param = 'input_file_id';
  if (file === null)
    throw new RequestError(400, `No such file: '${id}'. Upload it first with purpose "batch".`, {
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
  return file;
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

/** True once somebody asked for this batch to be cancelled. */
export async function isCancelled(bucket: Bucket, tenant: string, id: string): Promise<boolean> {
  return (await readFact(bucket, layout.batch.cancel(tenant, id), CancelFact)) !== null;
}
