import { createHash } from 'node:crypto';
import { type BatchDeps, createBatch } from '@batchmill/batch';
import { type Bucket, layout, type WindowPlace } from '@batchmill/bucket';
import { BatchCreate, idTime } from '@batchmill/contract';
import { createFile } from '@batchmill/files';
import { z } from 'zod';

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

/** What came of a window: the items it delivered, by `custom_id`; no batch if all of them had been delivered before. */
const Closed = z.strictObject({ batch_id: z.string().nullable(), items: z.array(z.string()) });

/** For so long after its window's opening an event that comes again is known. */
export const REMEMBERED_MS = 24 * 60 * 60 * 1000;

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

const decoder = new TextDecoder();
const CustomId = z.object({ custom_id: z.string() });

function linesOf(bytes: Uint8Array): InboxLine[] {
  return decoder
    .decode(bytes)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ({ id: CustomId.parse(JSON.parse(line)).custom_id, line }));
}

/**
 * Makes the batch of a window. May be done by several at once, and again after a crash at any point: the batch is made once.
 *
 * First the window is fenced off: what a writer puts into the inbox afterwards it will not acknowledge (see `Gatherer`), so
 * every acknowledged event is in the listing that follows. Then the batch's file, then the batch, then `closed.json`, then the
 * inbox goes.
 */
export async function closeWindow(deps: BatchDeps, at: WindowPlace): Promise<{ batchId: string | null }> {
  const { bucket } = deps;
  const bytes = await bucket.get(layout.window.window(at));
  const window = bytes === null ? null : Window.parse(JSON.parse(decoder.decode(bytes)));
  const done = await bucket.get(layout.window.closed(at));
  if (done !== null) {
    const { batch_id: batchId } = Closed.parse(JSON.parse(decoder.decode(done)));
    await forget(bucket, at, window);
    return { batchId };
  }
  // Opened half-way by a process that died: it has acknowledged nothing.
  if (window === null) return { batchId: null };
  await bucket.put(layout.window.closing(at), '');
  const items = await itemsOf(bucket, at, window);
  if (items.length > 0) {
    await createBatch(
      deps,
      at.tenant,
      BatchCreate.parse({
        input_file_id: window.file_id,
        endpoint: window.endpoint,
        completion_window: window.completion_window,
        metadata: window.metadata,
      }),
      { id: window.batch_id, ...(window.policy === null ? {} : { policy: window.policy }) },
    );
  }
  const batchId = items.length === 0 ? null : window.batch_id;
  const closed: z.infer<typeof Closed> = { batch_id: batchId, items };
  await bucket.create(layout.window.closed(at), JSON.stringify(closed));
  await forget(bucket, at, window);
  return { batchId };
}

/** Writes the file of the window's batch unless the batch is there already, and gives the `custom_id`s in it. */
async function itemsOf(bucket: Bucket, at: WindowPlace, window: Window): Promise<string[]> {
  if ((await bucket.head(layout.batch.batch(at.tenant, window.batch_id))) !== null) {
    // Whoever closed it before has chosen the items; choosing again could come out otherwise.
    const file = await bucket.get(layout.file.content(at.tenant, window.file_id));
    return file === null ? [] : linesOf(file).map(({ id }) => id);
  }
  const elsewhere = await deliveredElsewhere(bucket, at);
  const chosen = new Map<string, string>();
  for await (const { key } of bucket.list(layout.window.inboxPrefix(at))) {
    const part = await bucket.get(key);
    if (part === null) continue;
    for (const { id, line } of linesOf(part)) if (!elsewhere.has(id) && !chosen.has(id)) chosen.set(id, line);
  }
  if (chosen.size === 0) return [];
  await createFile(bucket, at.tenant, {
    id: window.file_id,
    filename: `${window.metadata.trigger_name ?? 'trigger'}.jsonl`,
    purpose: 'batch',
    source: lines(chosen.values()),
  });
  return [...chosen.keys()];
}

async function* lines(all: Iterable<string>): AsyncGenerator<Uint8Array> {
  let text = '';
  for (const line of all) {
    text += `${line}\n`;
    if (text.length < 256 * 1024) continue;
    yield Buffer.from(text);
    text = '';
  }
  if (text !== '') yield Buffer.from(text);
}

/**
 * Items that other windows of the trigger have delivered, or will: an event that came twice, through two processes, belongs
 * to the window that opened first. The inbox is read before `closed.json`, since closing writes one before it removes the other.
 */
async function deliveredElsewhere(bucket: Bucket, at: WindowPlace): Promise<Set<string>> {
  const elsewhere = new Set<string>();
  for (const other of await windowsOf(bucket, at.tenant, at.trigger)) {
    if (other.window === at.window) continue;
    if (other.window < at.window)
      for await (const { key } of bucket.list(layout.window.inboxPrefix(other)))
        for (const { id } of linesOf((await bucket.get(key)) ?? new Uint8Array())) elsewhere.add(id);
    for (const id of (await closedOf(bucket, other))?.items ?? []) elsewhere.add(id);
  }
  return elsewhere;
}

/** The windows of a trigger that still count for telling whether an event came before. */
export async function windowsOf(bucket: Bucket, tenant: string, trigger: string): Promise<WindowPlace[]> {
  const prefix = layout.window.ofTrigger(tenant, trigger);
  const found = new Set<string>();
  for await (const { key } of bucket.list(prefix)) found.add(key.slice(prefix.length).split('/')[0] ?? '');
  return [...found]
    .filter((window) => (idTime(window) ?? 0) > Date.now() - REMEMBERED_MS)
    .map((window) => ({ tenant, trigger, window }));
}

export async function closedOf(bucket: Bucket, at: WindowPlace): Promise<z.infer<typeof Closed> | null> {
  const bytes = await bucket.get(layout.window.closed(at));
  return bytes === null ? null : Closed.parse(JSON.parse(decoder.decode(bytes)));
}

/** What was acknowledged for an open window so far. */
export async function inboxOf(bucket: Bucket, at: WindowPlace): Promise<string[]> {
  const ids: string[] = [];
  for await (const { key } of bucket.list(layout.window.inboxPrefix(at)))
    for (const { id } of linesOf((await bucket.get(key)) ?? new Uint8Array())) ids.push(id);
  return ids;
}

/** Removes what only served to close the window. The index entry goes last: a crash on the way makes the sweep come back. */
async function forget(bucket: Bucket, at: WindowPlace, window: Window | null): Promise<void> {
  for await (const { key } of bucket.list(layout.window.inboxPrefix(at))) await bucket.delete(key);
  if (window !== null) await bucket.delete(layout.window.open(window.deadline, at));
}
