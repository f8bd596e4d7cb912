import { layout, parseDue, parseKept } from '@batchmill/bucket';
import type { DeliverJob } from '@batchmill/queue';
import type { EmitDeps } from './emit.ts';
import { deleteEndpoint } from './endpoints.ts';
import { today } from './kept.ts';

/** Asks for every lane with something due, and deletes what was kept long enough. Safe at any moment, by several at once. */
export async function sweepHooks(deps: EmitDeps, now = Date.now()): Promise<{ lanes: number; deleted: number }> {
  const { bucket } = deps;
  const swept = { lanes: 0, deleted: 0 };
  let last = '';
  for await (const { key } of bucket.list(layout.hook.duePrefix)) {
    const due = parseDue(key);
    if (due === null) continue;
    const job: DeliverJob = { tenant: due.tenant, endpointId: due.endpoint, lane: due.lane };
    const lane = JSON.stringify(job);
    if (lane === last) continue;
    last = lane;
    await deps.trigger(job).catch(() => {});
    swept.lanes++;
  }
  for await (const { key } of bucket.list(layout.hook.keptPrefix)) {
    const kept = parseKept(key);
    if (kept === null) continue;
    if (kept.day > today(now)) break;
    const { tenant, what, of, id } = kept;
    if (what === 'endpoint') await deleteEndpoint(bucket, tenant, id);
    else if (what === 'event') await bucket.delete(layout.hook.event(tenant, id));
    else
      for await (const object of bucket.list(layout.hook.deliveryPrefix(tenant, of, id)))
        await bucket.delete(object.key);
    await bucket.delete(key);
    swept.deleted++;
  }
  return swept;
}
