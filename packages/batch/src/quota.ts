import { type Bucket, type Held, layout, parseHeld } from '@batchmill/bucket';
import { RequestError } from '@batchmill/contract';
import { readFile } from '@batchmill/files';
import type { BatchFact } from './state.ts';

/** What the batches of one API key that have not ended may come to, all together. `null`: anything. */
export interface Quota {
  batches: number | null;
  items: number | null;
  /** Of their input files. */
  bytes: number | null;
}

export const NO_QUOTA: Quota = { batches: null, items: null, bytes: null };

/** Whose quota it is. Without API keys, and for triggers, the key is `null`. */
export interface Holder {
  tenant: string;
  key: string | null;
}

/** Seconds after which it is worth asking again: a batch has to end first. */
const AGAIN_SECONDS = 60;

/** The entry that says what a batch holds, or `null` for one from before there were any. It goes when the batch has ended. */
export function heldKey(fact: BatchFact): string | null {
  return fact.held === null
    ? null
    : layout.batch.held(fact.tenant, fact.key, fact.id, { ...fact.held, input: fact.input_file_id });
}

/** What the open batches of a key come to: one listing of as many entries as there are, nothing is read. */
export async function heldBy(bucket: Bucket, { tenant, key }: Holder) {
  const sum = { batches: 0, items: 0, bytes: 0 };
  for await (const entry of bucket.list(layout.batch.heldOfKey(tenant, key))) {
    const held = parseHeld(entry.key);
    if (held === null) continue;
    sum.batches++;
    sum.items += held.items;
    sum.bytes += held.bytes;
  }
  return sum;
}

const turns = new WeakMap<Bucket, Map<string, Promise<unknown>>>();

/**
 * Runs `accept`, which writes the entry of a new batch, if there is room for it. In one process the batches of a key are
 * accepted one after the other, so that it never passes its quota; several processes asked at the very same moment may pass it
 * by one batch each.
 * @throws RequestError 429
 */
export async function admit(
  bucket: Bucket,
  holder: Holder,
  quota: Quota,
  wanted: Pick<Held, 'items' | 'bytes'>,
  accept: () => Promise<void>,
): Promise<void> {
  if (quota.batches === null && quota.items === null && quota.bytes === null) return accept();
  const waiting = turns.get(bucket) ?? new Map<string, Promise<unknown>>();
  turns.set(bucket, waiting);
  const name = `${holder.tenant}/${holder.key ?? ''}`;
  const mine = (waiting.get(name) ?? Promise.resolve()).then(async () => {
    check(quota, await heldBy(bucket, holder), wanted);
    await accept();
  });
  const settled = mine.catch(() => {});
  waiting.set(name, settled);
  try {
    await mine;
  } finally {
    if (waiting.get(name) === settled) waiting.delete(name);
  }
}

function check(quota: Quota, held: Quota & { batches: number }, wanted: Pick<Held, 'items' | 'bytes'>): void {
  const asked = { batches: 1, ...wanted };
  for (const kind of ['batches', 'items', 'bytes'] as const) {
    const most = quota[kind];
    const now = held[kind] ?? 0;
    if (most === null || now + asked[kind] <= most) continue;
    // A batch that is larger than all there is will not fit later either.
    const never = asked[kind] > most;
    throw new RequestError(
      429,
      `This API key may have ${most} ${kind} in batches that have not ended, has ${now}, and this batch has ${asked[kind]}. ` +
        (never ? 'Split it into smaller batches.' : 'Wait until a batch has ended, or cancel one.'),
      { code: 'quota_exceeded', again: { retry: false, seconds: never ? 0 : AGAIN_SECONDS } },
    );
  }
}

const NEWLINE = 10;

/** Lines of a file, with anything in them. */
export async function countItems(bucket: Bucket, tenant: string, fileId: string): Promise<number> {
  let lines = 0;
  let last = NEWLINE;
  for await (const bytes of (await readFile(bucket, tenant, fileId)) ?? []) {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, at + 1)) lines++;
    last = chunk.at(-1) ?? last;
  }
  return last === NEWLINE ? lines : lines + 1;
}

/** The batches of a tenant that have not ended and have this file as their input. */
export async function openBatchesOf(bucket: Bucket, tenant: string, fileId: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const { key } of bucket.list(layout.batch.heldOfTenant(tenant))) {
    const held = parseHeld(key);
    if (held?.input === fileId) ids.push(held.id);
  }
  return ids;
}
