import { setTimeout as sleep } from 'node:timers/promises';
import { type Item, lineId, type ResultRecord, resultRecord } from '@batchmill/batch';
import { BucketUnavailableError } from '@batchmill/bucket';
import { checkDepth, type FindingCounts, newId, RequestError, type Usage } from '@batchmill/contract';
import { EngineError } from '@batchmill/engine';
import type { Lane } from '@batchmill/queue';
import {
  type AuditLog,
  type AuditScope,
  auditRecords,
  FilterError,
  findingCounts,
  type JudgedSegment,
  type Segment,
  unjudgedRecord,
} from '@batchmill/safety';
import type { Quarantine } from '@batchmill/safety/quarantine';
import type { Task, TaskContext } from '@batchmill/tasks';
import { type Logger, metrics, seconds } from '@batchmill/telemetry';
import { Clock } from './clock.ts';
import type { EngineHost } from './engine-host.ts';
import type { Claim } from './fair-order.ts';
import { ItemTimeout, itemContext } from './item-context.ts';
import { ItemJudge } from './item-judge.ts';
import type { BatchSafety } from './judges.ts';
import type { ItemPieces } from './pieces.ts';
import type { Slots } from './slots.ts';
import type { Speedometer } from './speedometer.ts';
import type { Turns } from './turns.ts';

export interface ItemDeps {
  engine: EngineHost;
  slots: Slots;
  /** Turns of pieces, as the shard's are of items. */
  pieceTurns: Turns;
  tasks: ReadonlyMap<string, Task>;
  /** Takes down what is masked or withheld, before the item's record is made. */
  audit: Audit;
  /** Takes down how fast this worker is. */
  speedometer: Speedometer;
  itemTimeoutMs: number;
  /** Pauses before a file of the item is read again that the store did not give. Default: three minutes in all. */
  storePausesMs?: readonly number[];
  log: Logger;
}

export interface ItemScope {
  tenant: string;
  batchId: string;
  lane: Lane;
  /** Of its batch, to turns and slots. */
  claim: Claim;
  /** Reads for the item's tenant; see `TaskContext`. */
  openFile: TaskContext['openFile'];
  openObject: TaskContext['openObject'];
  models: readonly string[];
  /** Id of the API key its batch was made with, for the audit log. */
  key: string | null;
  /** What its answer is judged by. */
  safety: BatchSafety;
  /** Fires when the item is not wanted any more, or the worker stops. */
  signal: AbortSignal;
}

/** Where it is taken down what the policy masks or withholds. */
export interface Audit {
  log: AuditLog;
  /** `null`: withheld content is dropped, whatever policies say. */
  quarantine: Quarantine | null;
  /** Makes the hashes of contents unguessable. */
  key: string | null;
}

/** The item was interrupted, not answered: it has no record and stays to be done. */
export class ItemInterrupted extends Error {
  override readonly name = 'ItemInterrupted';
}

/** Pauses before trying again what may pass. The engine host has waited for a new engine by then: a few are enough. */
const ENGINE_PAUSES_MS = [200, 1_000, 5_000];
/** A store that is started anew, or a network that is mended, takes minutes: an item must not fail of that. */
const STORE_PAUSES_MS = [200, 1_000, 5_000, 15_000, 30_000, 60_000, 60_000];

/**
 * Runs one item to its record: task, engine, filters, line. Whatever goes wrong with the item becomes its error line.
 * @throws ItemInterrupted when `scope.signal` fires first.
 */
export async function runItem(deps: ItemDeps, scope: ItemScope, item: Item, pieces: ItemPieces): Promise<ResultRecord> {
  // By hand, not AbortSignal.any: that lives on until its sources are gone, for a million items too.
  const stop = new AbortController();
  const clock = new Clock(deps.itemTimeoutMs, () => stop.abort(new ItemTimeout(deps.itemTimeoutMs)));
  const onInterrupt = () => stop.abort(new ItemInterrupted('interrupted', { cause: scope.signal.reason }));
  scope.signal.addEventListener('abort', onInterrupt, { once: true });
  if (scope.signal.aborted) onInterrupt();
  const requestId = newId('req_');
  const taken = seconds();
  const record = (status: number, body: unknown, usage: Usage | null, findings: FindingCounts | null = null) => {
    const outcome = status < 400 ? 'answered' : status < 500 ? 'rejected' : 'failed';
    metrics.items.inc({ task: item.url, lane: scope.lane, outcome });
    metrics.itemSeconds.observe({ task: item.url }, taken());
    deps.speedometer.finished(scope.lane, item);
    return resultRecord(
      item.position,
      {
        id: lineId(scope.batchId, item.position),
        custom_id: item.custom_id,
        response: { status_code: status, request_id: requestId, body },
        error: null,
      },
      usage,
      findings,
    );
  };
  try {
    const answer = await answerItem(deps, scope, item, pieces, clock, stop.signal);
    return record(200, answer.body, answer.usage, answer.findings);
  } catch (error) {
    if (error instanceof ItemInterrupted) throw error;
    if (error instanceof FilterError)
      await deps.audit.log.write([unjudgedRecord(auditScope(scope, item), error.filter)]);
    const refusal = explain(error, deps.log, { batch: scope.batchId, item: item.custom_id, request: requestId });
    return record(refusal.status, refusal.body(), null);
  } finally {
    clock.end();
    scope.signal.removeEventListener('abort', onInterrupt);
  }
}

/**
 * The answer of one item, after the filters. Tries again what may pass.
 * @throws the signal's reason when it fires, whatever was being done.
 */
async function answerItem(
  deps: ItemDeps,
  scope: ItemScope,
  item: Item,
  pieces: ItemPieces,
  clock: Clock,
  signal: AbortSignal,
): Promise<{ body: unknown; usage: Usage; findings: FindingCounts | null }> {
  const task = deps.tasks.get(item.url);
  if (task === undefined) throw new RequestError(404, `Unknown endpoint: ${item.url}`, { code: 'unknown_url' });
  const missing = scope.safety.filters.find(({ unavailable }) => unavailable !== undefined)?.unavailable;
  if (missing !== undefined) throw missing;
  checkDepth(item.body);
  for (let attempt = 0; ; attempt++) {
    const ids = { tenant: scope.tenant, batchId: scope.batchId, customId: item.custom_id };
    const judge = new ItemJudge(scope.safety, ids);
    const context = itemContext(deps, scope, item, pieces, judge, clock, signal);
    try {
      const draft = await task.run(item.body, context);
      // Before anything of the answer is written where somebody might read it.
      const judged = await judge.judge(draft.segments, signal);
      await takeDown(deps.audit, scope, item, draft.segments, judged);
      for (const { filter, category, action } of judged.flatMap(({ findings }) => findings))
        metrics.findings.inc({ filter, category, action });
      return { body: named(draft.finish(judged), scope.safety), usage: draft.usage, findings: findingCounts(judged) };
    } catch (error) {
      signal.throwIfAborted();
      const pause = pausesAfter(error, deps)[attempt];
      if (pause === undefined) throw error;
      metrics.retries.inc({ what: 'item' });
      deps.log.warn({ err: error, batch: scope.batchId, item: item.custom_id, attempt }, 'trying an item again');
      await sleep(pause, undefined, { signal }).catch(() => {});
      signal.throwIfAborted();
    } finally {
      await context.clear();
    }
  }
}

function auditScope({ tenant, batchId, key, safety }: ItemScope, item: Item): AuditScope {
  return { tenant, key, batch_id: batchId, position: item.position, custom_id: item.custom_id, policy: safety.hash };
}

/** In the bucket before the item has a record: what is withheld is never without its line in the log. */
async function takeDown(
  { log, quarantine, key }: Audit,
  scope: ItemScope,
  item: Item,
  segments: readonly Segment[],
  judged: readonly JudgedSegment[],
): Promise<void> {
  if (!judged.some(({ blocked, redacted }) => blocked || redacted)) return;
  if (scope.safety.policy.withheld === 'quarantine')
    await quarantine?.keep({ ...scope, position: item.position }, item.custom_id, segments, judged);
  await log.write(auditRecords(auditScope(scope, item), segments, judged, key));
}

/** The answer with the policy it was judged by. */
function named(body: unknown, { hash }: BatchSafety): unknown {
  return typeof body === 'object' && body !== null ? { ...body, content_policy: hash } : body;
}

/** Empty for what another attempt would meet again. */
function pausesAfter(error: unknown, { storePausesMs = STORE_PAUSES_MS }: ItemDeps): readonly number[] {
  if (error instanceof BucketUnavailableError) return storePausesMs;
  return error instanceof EngineError && error.code === 'engine_failed' ? ENGINE_PAUSES_MS : [];
}

/** Any failure as the error its line shows. Nothing of our insides, or of an answer that was not judged, gets out. */
function explain(error: unknown, log: Logger, of: { batch: string; item: string; request: string }): RequestError {
  if (error instanceof RequestError) return error;
  if (error instanceof FilterError) {
    // Not the cause's own words: a filter that chokes on an answer may quote it.
    const cause = error.cause instanceof Error ? error.cause.name : undefined;
    log.error({ filter: error.filter, why: error.message, cause, ...of }, 'an answer could not be judged');
    return new RequestError(500, 'The answer could not be checked by the content filters, so it is not delivered.', {
      code: 'content_filter_error',
    });
  }
  if (error instanceof EngineError) {
    switch (error.code) {
      case 'bad_media':
      case 'bad_request':
        return new RequestError(400, error.message, {
          code: error.code === 'bad_media' ? 'invalid_media' : 'invalid_value',
        });
      case 'context_overflow':
        return new RequestError(400, error.message, { code: 'context_length_exceeded', param: 'messages' });
      case 'unsupported':
        return new RequestError(400, error.message, { code: 'unsupported_modality', param: 'messages' });
      default:
        log.error({ err: error, ...of }, 'the engine failed');
        return new RequestError(500, 'The engine failed on this item.', { code: 'engine_error' });
    }
  }
  if (error instanceof BucketUnavailableError)
    return new RequestError(503, 'A file of this item could not be read: the object store did not answer.', {
      code: 'storage_unavailable',
    });
  log.error({ err: error, ...of }, 'an item failed unexpectedly');
  return new RequestError(500, 'Internal error.', { code: 'internal_error' });
}
