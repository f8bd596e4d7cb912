/** What the tests of batches share: a worker that answers by hand, and the lines of a file. */
import type { Bucket } from '@batchmill/bucket';
import type { FindingCounts } from '@batchmill/contract';
import { readFile } from '@batchmill/files';
import type { ShardJob } from '@batchmill/queue';
import { resultRecord } from './results/record.ts';
import { PartWriter, readFinished, readShard } from './results/shard.ts';

export const TENANT = 'acme';

export type WorkOptions = [
  pick?: (id: string) => boolean,
  fail?: (id: string) => boolean,
  writer?: string,
  found?: (id: string) => FindingCounts | null,
];

/** Answers items of every queued shard, all of them or those `pick` names; `fail` decides which become error lines. */
export async function workOn(
  bucket: Bucket,
  queued: Map<string, ShardJob>,
  pick = (_: string) => true,
  fail = (_: string) => false,
  writer = 'w1',
  found = (_: string): FindingCounts | null => null,
): Promise<void> {
  for (const [key, job] of queued) {
    const items = await readShard(bucket, TENANT, job.batchId, job.shard);
    const { positions } = await readFinished(bucket, TENANT, job.batchId, job.shard);
    const mine = items.filter((i) => pick(i.custom_id) && !positions.has(i.position));
    const records = mine.map((item) =>
      resultRecord(
        item.position,
        {
          id: `line-${item.position}`,
          custom_id: item.custom_id,
          response: { status_code: fail(item.custom_id) ? 400 : 200, request_id: 'r', body: { by: writer } },
          error: null,
        },
        {
          input_tokens: 3,
          input_tokens_details: { cached_tokens: 1 },
          output_tokens: 2,
          output_tokens_details: { reasoning_tokens: 1 },
          total_tokens: 5,
        },
        found(item.custom_id),
      ),
    );
    const parts = new PartWriter(bucket, { tenant: TENANT, id: job.batchId, shard: job.shard, writer });
    await parts.write(records, positions.size + mine.length === items.length);
    queued.delete(key);
  }
}

export async function linesOf(
  bucket: Bucket,
  fileId: string | null,
): Promise<{ custom_id: string; error: { code: string } | null; response: unknown }[]> {
  if (fileId === null) return [];
  const stream = await readFile(bucket, TENANT, fileId);
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream ?? []) chunks.push(chunk);
  return Buffer.concat(chunks)
    .toString('utf8')
    .split('\n')
    .filter((l) => l !== '')
    .map((l) => JSON.parse(l));
}
