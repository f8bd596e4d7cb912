import { BatchFact, decodeRecords, getBatch, PlanFact, readFact } from '@batchmill/batch';
import { layout } from '@batchmill/bucket';
import type { WebhookEventName } from '@batchmill/contract';
import { z } from 'zod';
import { type EmitDeps, emit } from './emit.ts';
import { type EndpointFact, listEndpoints } from './endpoint.ts';
import { derivedId } from './event.ts';

/** Events of one batch come in this order. */
const RANKS = { begun: 1, items: 2, ended: 3 } as const;
/** Items named in one event; of a larger part there are several. */
const MOST_ITEMS = 1_000;

/** The endpoints that want an event, and the batch's own. */
function wanting(listed: readonly EndpointFact[], batch: BatchFact, type: WebhookEventName): string[] {
  const ids = listed.filter(({ disabled, events }) => disabled === null && events.includes(type)).map(({ id }) => id);
  return batch.webhook !== null && type.startsWith('batch.') && type !== 'batch.in_progress'
    ? [...ids, batch.webhook.endpoint_id]
    : ids;
}

/** Tells that a batch has begun, and which items have finished since the last time. Safe to run again at any time. */
export async function tellRunning(deps: EmitDeps, { tenant, id }: { tenant: string; id: string }): Promise<void> {
  const { bucket } = deps;
  const batch = await readFact(bucket, layout.batch.batch(tenant, id), BatchFact);
  if (batch === null) return;
  const told = (name: string) => layout.batch.told(tenant, id, name);
  const listed = await listEndpoints(bucket, tenant);
  if (listed.length === 0) return;
  const begun = wanting(listed, batch, 'batch.in_progress');
  const plan = begun.length === 0 ? null : await readFact(bucket, layout.batch.plan(tenant, id), PlanFact);
  if (plan !== null && (await bucket.head(told('in_progress'))) === null) {
    const at = plan.in_progress_at;
    await emit(
      deps,
      tenant,
      {
        id: derivedId('evt_', at * 1000, id, 'batch.in_progress'),
        type: 'batch.in_progress',
        created_at: at,
        batch_id: id,
        data: { id, total: plan.total },
      },
      begun,
      RANKS.begun,
    );
    await bucket.put(told('in_progress'), '');
  }
  const ofItems = {
    'item.completed': wanting(listed, batch, 'item.completed'),
    'item.failed': wanting(listed, batch, 'item.failed'),
  } as const;
  if (ofItems['item.completed'].length + ofItems['item.failed'].length === 0) return;
  const known = new Set<string>();
  for await (const { key } of bucket.list(layout.batch.toldPrefix(tenant, id))) known.add(key);
  for await (const { key, modified } of bucket.list(layout.batch.parts(tenant, id))) {
    const name = key.slice(key.lastIndexOf('/') + 1);
    if (known.has(told(name))) continue;
    const bytes = await bucket.get(key);
    if (bytes === null) continue;
    const records = decodeRecords(bytes).map(({ ok, line }) => ({
      ok,
      id: CustomId.parse(JSON.parse(line)).custom_id,
    }));
    for (const [type, endpoints] of [
      ['item.completed', ofItems['item.completed']],
      ['item.failed', ofItems['item.failed']],
    ] as const) {
      const items = records.filter(({ ok }) => ok === (type === 'item.completed')).map((record) => record.id);
      for (let from = 0; from < items.length; from += MOST_ITEMS) {
        const event = {
          id: derivedId('evt_', modified, id, type, name, from),
          type,
          created_at: Math.floor(modified / 1000),
          batch_id: id,
          data: { id, custom_ids: items.slice(from, from + MOST_ITEMS) },
        };
        await emit(deps, tenant, event, endpoints, RANKS.items);
      }
    }
    await bucket.put(told(name), '');
  }
}

const CustomId = z.object({ custom_id: z.string() });

/** Tells how a batch has ended. Written before the batch leaves the index of open batches; again after a crash, as the same event. */
export async function tellEnded(
  deps: EmitDeps,
  { tenant, id, status }: { tenant: string; id: string; status: 'completed' | 'failed' | 'expired' | 'cancelled' },
): Promise<void> {
  const { bucket } = deps;
  // What finished last is told first.
  if (status !== 'failed') await tellRunning(deps, { tenant, id });
  const batch = await readFact(bucket, layout.batch.batch(tenant, id), BatchFact);
  const view = await getBatch({ bucket, trigger: async () => {} }, tenant, id);
  if (batch === null || view === null) return;
  const type = `batch.${status}` as const;
  const at = view.completed_at ?? view.failed_at ?? view.expired_at ?? view.cancelled_at ?? view.created_at;
  await emit(
    deps,
    tenant,
    {
      id: derivedId('evt_', at * 1000, id, type),
      type,
      created_at: at,
      batch_id: id,
      data: {
        id,
        output_file_id: view.output_file_id,
        error_file_id: view.error_file_id,
        request_counts: view.request_counts,
        // Signed anew for each attempt.
        output_file_url: null,
        metadata: view.metadata,
      },
    },
    wanting(await listEndpoints(bucket, tenant), batch, type),
    RANKS.ended,
  );
}
