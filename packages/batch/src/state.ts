import { type Bucket, layout, type PartName, parsePart, parsePieces } from '@batchmill/bucket';
import { BatchError, FindingCounts, RetryKind, Usage } from '@batchmill/contract';
import { LANES } from '@batchmill/queue';
import { z } from 'zod';

/**
 * The facts of a batch, one object each, written once. Which of them exist *is* the batch's status:
 *
 * | exists | status |
 * |---|---|
 * | `batch.json` | validating |
 * | `failed.json` | failed |
 * | `plan.json` | in_progress |
 * | `cancel.json` | cancelling |
 * | `finalizing.json` | finalizing |
 * | `final.json` | completed, expired or cancelled, as it says |
 */
export const BatchFact = z.object({
  id: z.string(),
  tenant: z.string(),
  created_at: z.number(),
  expires_at: z.number(),
  input_file_id: z.string(),
  endpoint: z.string(),
  completion_window: z.string(),
  metadata: z.record(z.string(), z.string()).nullable(),
  /** Lifetime of the output and error file in seconds; `null` = kept. */
  output_lifetime: z.number().nullable(),
  empty_output_file: z.boolean(),
  /** Hash of the content policy that its answers are judged by; `null`: the built-in one. */
  policy: z.string().nullable().default(null),
  /** Id of the API key it was made with; `null`: none, or a trigger made it. */
  key: z.string().nullable().default(null),
  /** The webhook endpoint of this batch alone. Its secret is with the endpoint. */
  webhook: z.object({ endpoint_id: z.string(), url: z.string() }).nullable().default(null),
  /** Names of the content policies that were asked for, for a batch that is made of this one. */
  policies: z.array(z.string()).default([]),
  /** What it takes of its key's quota until it has ended. `null`: it is from before there were any. */
  held: z.object({ items: z.number().int(), bytes: z.number().int() }).nullable().default(null),
  /** The batch whose lines it does again: those of `only` in that error file. */
  retry_of: z
    .object({ batch_id: z.string(), error_file_id: z.string(), only: z.array(RetryKind) })
    .nullable()
    .default(null),
});
export type BatchFact = z.infer<typeof BatchFact>;

export const Shard = z.object({
  shard: z.number().int(),
  lane: z.enum(LANES),
  /** How many items it holds. */
  items: z.number().int(),
  /** What they are likely to cost; 0 in plans of older versions. Pages and seconds of sound are part of the tokens. */
  tokens: z.number().default(0),
  pages: z.number().default(0),
  audioSeconds: z.number().default(0),
});
export type Shard = z.infer<typeof Shard>;

export const PlanFact = z.object({
  in_progress_at: z.number(),
  model: z.string().nullable(),
  total: z.number().int(),
  shards: z.array(Shard),
});
export type PlanFact = z.infer<typeof PlanFact>;

export const FailedFact = z.object({ failed_at: z.number(), errors: z.array(BatchError) });
export type FailedFact = z.infer<typeof FailedFact>;

export const CancelFact = z.object({ cancelling_at: z.number() });
export type CancelFact = z.infer<typeof CancelFact>;

export const Outcome = z.enum(['completed', 'expired', 'cancelled']);
export type Outcome = z.infer<typeof Outcome>;

/**
 * Freezes what goes into the files: from here on the result is a function of objects that exist, so two finalizers at
 * work at once, or one that starts again after a crash, write the same bytes. Parts written later are not delivered.
 */
export const FinalizingFact = z.object({
  finalizing_at: z.number(),
  outcome: Outcome,
  output_file_id: z.string(),
  error_file_id: z.string(),
  parts: z.array(z.string()),
  /** Pages, or seconds of sound, done by then. */
  units: z.number().default(0),
});
export type FinalizingFact = z.infer<typeof FinalizingFact>;

export const FinalFact = z.object({
  status: Outcome,
  /** When it became `status`. */
  at: z.number(),
  in_progress_at: z.number(),
  finalizing_at: z.number(),
  cancelling_at: z.number().nullable(),
  model: z.string().nullable(),
  total: z.number().int(),
  completed: z.number().int(),
  failed: z.number().int(),
  usage: Usage,
  output_file_id: z.string().nullable(),
  error_file_id: z.string().nullable(),
  units: z.number().default(0),
  /** Items in which the content filters found something, by category; `null`: none. */
  findings: FindingCounts.nullable().default(null),
});
export type FinalFact = z.infer<typeof FinalFact>;

/** Reads one fact, or `null` if it has not happened. */
export async function readFact<T extends z.ZodType>(
  bucket: Bucket,
  key: string,
  schema: T,
): Promise<z.infer<T> | null> {
  const bytes = await bucket.get(key);
  return bytes === null ? null : schema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
}

/** Writes a fact if nobody has, and gives the one that stands. */
export async function settleFact<T extends z.ZodType>(
  bucket: Bucket,
  key: string,
  schema: T,
  fact: z.infer<T>,
): Promise<z.infer<T>> {
  if (await bucket.create(key, JSON.stringify(fact))) return fact;
  return (await readFact(bucket, key, schema)) ?? fact;
}

export interface ShardProgress {
  completed: number;
  failed: number;
  /** Pages, or seconds of sound, that its parts count. */
  units: number;
  /** All its items have results. */
  done: boolean;
}

/**
 * Progress of every shard that has parts, from their names alone: one listing, nothing is read. If two workers ran the
 * same shard, counts are cut at the shard's size; the exact ones are made by the finalizer.
 */
export async function listProgress(bucket: Bucket, tenant: string, id: string): Promise<Map<number, ShardProgress>> {
  const progress = new Map<number, ShardProgress>();
  for await (const { key } of bucket.list(layout.batch.parts(tenant, id))) {
    const part = parsePart(key);
    if (part === null) continue;
    const shard = progress.get(part.shard) ?? { completed: 0, failed: 0, units: 0, done: false };
    shard.completed += part.completed;
    shard.failed += part.failed;
    shard.units += part.units;
    shard.done ||= part.last;
    progress.set(part.shard, shard);
  }
  return progress;
}

/**
 * Pages, or seconds of sound, that are done, and what the items that were begun have of them, from names alone. It is progress,
 * not a bill: what two workers both did, because one was thought dead, counts twice.
 */
export async function countUnits(
  bucket: Bucket,
  tenant: string,
  id: string,
): Promise<{ done: number; begun: { items: number; units: number } }> {
  const count = { done: 0, begun: { items: 0, units: 0 } };
  const add = (name: Pick<PartName, 'units' | 'begun'> | null) => {
    count.done += name?.units ?? 0;
    count.begun.items += name?.begun?.items ?? 0;
    count.begun.units += name?.begun?.units ?? 0;
  };
  for await (const { key } of bucket.list(layout.batch.parts(tenant, id))) add(parsePart(key));
  for await (const { key } of bucket.list(layout.batch.pieces(tenant, id))) add(parsePieces(key));
  return count;
}

/**
 * How many pages or seconds of sound a batch has in all, as far as can be told: those of the items that were begun, and as many
 * for each of the others as these have on average. `null` before any is known.
 * @param ended how many of its `items` have a result: some of them failed before their length was known.
 */
export function estimateUnits(
  { done, begun }: Awaited<ReturnType<typeof countUnits>>,
  items: number,
  ended: number,
): number | null {
  if (begun.items === 0) return null;
  const others = Math.max(0, items - Math.max(begun.items, ended));
  return Math.max(done, Math.round(begun.units * (1 + others / begun.items)));
}

/** Sums progress over a plan. `completed + failed` never passes the plan's total. */
export function sumProgress(
  plan: PlanFact,
  progress: Map<number, ShardProgress>,
): { completed: number; failed: number } {
  const sum = { completed: 0, failed: 0 };
  for (const { shard, items } of plan.shards) {
    const p = progress.get(shard);
    if (p === undefined) continue;
    const completed = Math.min(p.completed, items);
    sum.completed += completed;
    sum.failed += Math.min(p.failed, items - completed);
  }
  return sum;
}
