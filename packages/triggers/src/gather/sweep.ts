import type { BatchDeps } from '@batchmill/batch';
import { layout, parseOpenWindow } from '@batchmill/bucket';
import { idTime } from '@batchmill/contract';
import { closeWindow, REMEMBERED_MS } from './window.ts';

/** A window whose own process has not closed it for so long after its time belongs to one that is dead. */
const GRACE_MS = 15_000;
const WINDOW = /^windows\/[^/]+\/[^/]+\/(win_[0-9a-f]{32})\//;

/**
 * Closes the windows that a dead API process left behind, and removes what is remembered of windows older than a day. Safe at
 * any moment, by several at once.
 */
export async function sweepWindows(deps: BatchDeps, now = Date.now()): Promise<{ closed: number; removed: number }> {
  const { bucket } = deps;
  const swept = { closed: 0, removed: 0 };
  for await (const { key } of bucket.list(layout.window.openPrefix)) {
    const open = parseOpenWindow(key);
    if (open === null) continue;
    if (open.deadline * 1000 + GRACE_MS > now) break;
    await closeWindow(deps, open);
    await bucket.delete(key);
    swept.closed++;
  }
  for await (const { key } of bucket.list('windows/')) {
    const opened = idTime(WINDOW.exec(key)?.[1] ?? '');
    if (opened === null || opened + 2 * REMEMBERED_MS > now) continue;
    await bucket.delete(key);
    swept.removed++;
  }
  return swept;
}
