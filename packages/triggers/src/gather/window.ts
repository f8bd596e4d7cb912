import { createHash } from 'node:crypto';
import { type BatchDeps, createBatch, readFact } from '@batchmill/batch';
import { type Bucket, layout, type WindowPlace } from '@batchmill/bucket';
import { BatchCreate } from '@batchmill/contract';
import { createFile, inOrder, secondsOf } from '@batchmill/files';
import { z } from 'zod';
import type { Ledger } from './ledger.ts';

/** What is fixed when a window opens: everything its batch needs, so that anybody can close it. */
export const Window = z.strictObject({
  batch_id: z.string(),
  file_id: z.string(),
  endpoint: z.string(),
  completion_window: z.string(),
  metadata: z.record(z.string(), z.string()),
  policy: z.string().nullable(),
  /** Unix seconds by which it must be closed. */
  deadline: z.number().int(),
});
export type Window = z.infer<typeof Window>;

/** Objects of an inbox read at a time. */
const READS = 4;

/** The `custom_id` of the item an event becomes: the same whenever and wherever the event comes in. */
export function itemId(eventKey: string): string {
  return `evt-${createHash('sha256').update(eventKey).digest('hex').slice(0, 40)}`;
}

/** One event as a line of an inbox object; `line` is the batch's, without its break. */
export interface InboxLine {
  id: string;
  line: string;
}

export function inboxLine(eventKey: string, item: { url: string; body: Record<string, unknown> }): InboxLine {
  const id = itemId(eventKey);
  return { id, line: JSON.stringify({ custom_id: id, method: 'POST', url: item.url, body: item.body }) };
}

/**
 * Makes the batch of a window. May be done by several at once, and again after a crash at any point: the batch is made once.
 *
 * First the window is fenced off: what a writer puts into the inbox afterwards it will not acknowledge (see `Gatherer`), so
 * every acknowledged event is in the listing that follows. Then the ledger settles which of them this window delivers. Then
 * come the file, the batch, and at last the inbox goes.
 *
 * @param deadline Of the entry in the index, if nothing but that is left of the window.
 */
export async function closeWindow(
  deps: BatchDeps,
  ledger: Ledger,
  at: WindowPlace,
  deadline?: number,
): Promise<{ batchId: string | null }> {
  const { bucket } = deps;
  const window = await readFact(bucket, layout.window.window(at), Window);
  if (window === null) {
    // Opened half-way by a process that died, and so without anything acknowledged; or closed by somebody else. If that process
    // is only slow, it meets the fence.
    if (deadline !== undefined) {
      await bucket.put(layout.window.closing(at), '');
      await bucket.delete(layout.window.open(deadline, at));
    }
    return { batchId: ledger.entryOf(at.window)?.batch_id ?? null };
  }
  await bucket.put(layout.window.closing(at), '');
  const { batch_id: batchId, items } =
    ledger.entryOf(at.window) ?? (await ledger.settle(at.window, window.batch_id, await inboxOf(bucket, at)));
  if (batchId !== null && (await bucket.head(layout.batch.batch(at.tenant, batchId))) === null) {
    await createFile(bucket, at.tenant, {
      id: window.file_id,
      filename: `${window.metadata.trigger_name ?? 'trigger'}.jsonl`,
      purpose: 'batch',
      mostSeconds: secondsOf(deps.retention?.(at.tenant).files ?? null),
      source: chosenLines(bucket, at, new Set(items)),
    });
    await createBatch(
      deps,
      at.tenant,
      BatchCreate.parse({
        input_file_id: window.file_id,
        endpoint: window.endpoint,
        completion_window: window.completion_window,
        metadata: window.metadata,
      }),
      { id: batchId, ...(window.policy === null ? {} : { policy: window.policy }) },
    );
  }
  await forget(bucket, at, window);
  return { batchId };
}

/** The windows of a trigger that are not closed, or whose closing has not ended. */
export async function openWindows(bucket: Bucket, tenant: string, trigger: string): Promise<WindowPlace[]> {
  const prefix = layout.window.ofTrigger(tenant, trigger);
  const found: WindowPlace[] = [];
  for await (const { key } of bucket.list(prefix)) {
    const [window = '', name] = key.slice(prefix.length).split('/');
    if (name === 'window.json') found.push({ tenant, trigger, window });
  }
  return found;
}

/** What was written for an open window so far. */
export async function inboxOf(bucket: Bucket, at: WindowPlace): Promise<Set<string>> {
  const ids = new Set<string>();
  for await (const lines of inboxLines(bucket, at)) for (const { id } of lines) ids.add(id);
  return ids;
}

/** The lines of a window's items, each once. What was written twice counts as it was written first. */
async function* chosenLines(bucket: Bucket, at: WindowPlace, items: Set<string>): AsyncGenerator<Uint8Array> {
  const left = new Set(items);
  for await (const lines of inboxLines(bucket, at)) {
    const chosen = lines.filter(({ id }) => left.delete(id));
    if (chosen.length > 0) yield Buffer.from(chosen.map(({ line }) => `${line}\n`).join(''));
  }
  // Another has closed the window meanwhile and cleared it up; the file that stands is the whole one.
  if (left.size > 0) throw new Error(`the inbox of ${at.window} is not whole any more`);
}

async function* inboxLines(bucket: Bucket, at: WindowPlace): AsyncGenerator<InboxLine[]> {
  const keys = bucket.list(layout.window.inboxPrefix(at));
  const parts = inOrder(keys, READS, ({ key }) => bucket.get(key));
  for await (const bytes of parts) if (bytes !== null) yield linesOf(bytes);
}

function linesOf(bytes: Uint8Array): InboxLine[] {
  return Buffer.from(bytes)
    .toString('utf8')
    .split('\n')
    .flatMap((line) => {
      const id = CUSTOM_ID.exec(line)?.[1];
      return id === undefined ? [] : [{ id, line }];
    });
}

/** As `inboxLine` writes it. */
const CUSTOM_ID = /^\{"custom_id":"(evt-[0-9a-f]{40})"/;

/** Removes what only served to close the window; the fence stays. The index entry goes last: a crash on the way makes the sweep come back. */
async function forget(bucket: Bucket, at: WindowPlace, window: Window): Promise<void> {
  const keys = bucket.list(layout.window.inboxPrefix(at));
  for await (const _ of inOrder(keys, READS, ({ key }) => bucket.delete(key)));
  await bucket.delete(layout.window.window(at));
  await bucket.delete(layout.window.open(window.deadline, at));
}
