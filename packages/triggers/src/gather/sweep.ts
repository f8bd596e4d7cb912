import type { BatchDeps } from '@batchmill/batch';
import { type Bucket, layout, parseOpenWindow, parseUsed } from '@batchmill/bucket';
import { DAY_MS, Ledger, REMEMBERED_MS } from './ledger.ts';
import { closeWindow } from './window.ts';

/** A window whose own process has not closed it for so long after its time belongs to one that is dead. */
const GRACE_MS = 15_000;

/**
 * Closes the windows that a dead API process left behind, and removes what is no longer remembered. Safe at any moment, by
 * several at once. One window that cannot be closed keeps none of the others from it.
 */
export async function sweepWindows(
  deps: BatchDeps,
  now = Date.now(),
  onError: (error: unknown, trigger: string) => void = () => {},
): Promise<{ closed: number; removed: number }> {
  const { bucket } = deps;
  const swept = { closed: 0, removed: 0 };
  const ledgers = new Map<string, Ledger>();
  for await (const { key } of bucket.list(layout.window.openPrefix)) {
    const open = parseOpenWindow(key);
    if (open === null) continue;
    if (open.deadline * 1000 + GRACE_MS > now) break;
    const ledger = ledgers.get(open.trigger) ?? new Ledger(bucket, open.tenant, open.trigger);
    ledgers.set(open.trigger, ledger);
    try {
      await closeWindow(deps, ledger, open, open.deadline);
      swept.closed++;
    } catch (error) {
      onError(error, open.trigger);
    }
  }
  for await (const { key } of bucket.list(layout.ledger.usedPrefix)) {
    const used = parseUsed(key);
    if (used === null) continue;
    // A window opens for an hour at most and is remembered for a day.
    if ((used.day + 1) * DAY_MS + 2 * REMEMBERED_MS > now) break;
    swept.removed += await removeOld(bucket, used.tenant, used.trigger, now - 2 * REMEMBERED_MS);
    await bucket.delete(key);
  }
  return swept;
}

/** Removes fences and entries written before `until`; the last entry stays, so that no number is given twice. */
async function removeOld(bucket: Bucket, tenant: string, trigger: string, until: number): Promise<number> {
  let removed = 0;
  for await (const { key, modified } of bucket.list(layout.window.ofTrigger(tenant, trigger))) {
    if (!key.endsWith('/closing') || modified > until) continue;
    await bucket.delete(key);
    removed++;
  }
  let last: { key: string; modified: number } | null = null;
  for await (const entry of bucket.list(layout.ledger.prefix(tenant, trigger))) {
    if (last !== null && last.modified <= until) {
      await bucket.delete(last.key);
      removed++;
    }
    last = entry;
  }
  return removed;
}
