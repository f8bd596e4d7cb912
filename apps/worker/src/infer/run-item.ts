import { setTimeout as sleep } from 'node:timers/promises';
import { type Item, lineId, type ResultRecord, resultRecord } from '@batchmill/batch';
import { BucketUnavailableError } from '@batchmill/bucket';
import { newId, RequestError, type Usage } from '@batchmill/contract';
import { EngineError, type GenerateRequest, type Generation } from '@batchmill/engine';
import { FilterError, type Filters } from '@batchmill/safety';
import type { Task, TaskContext } from '@batchmill/tasks';
import type { Logger } from '@batchmill/telemetry';
import type { EngineHost } from './engine-host.ts';
import type { Slots } from './slots.ts';

export interface ItemDeps {
  engine: EngineHost;
  slots: Slots;
  tasks: ReadonlyMap<string, Task>;
  filters: Filters;
  itemTimeoutMs: number;
  log: Logger;
}

export interface ItemScope {
  tenant: string;
  batchId: string;
  /** Reads for the item's tenant; see `TaskContext`. */
  readFile: TaskContext['readFile'];
  readObject: TaskContext['readObject'];
  models: readonly string[];
  /** Fires when the item is not wanted any more, or the worker stops. */
  signal: AbortSignal;
}

/** The item was interrupted, not answered: it has no record and stays to be done. */
export class ItemInterrupted extends Error {
  override readonly name = 'ItemInterrupted';
}

/** The item took longer than it may. */
class ItemTimeout extends RequestError {
  constructor(limitMs: number) {
    super(504, `The item took longer than ${Math.round(limitMs / 1000)} s and was stopped.`, { code: 'item_timeout' });
  }
}

/** Pauses before trying again what may pass: an overloaded engine, a bucket that is away. */
const RETRY_PAUSES_MS = [200, 1_000, 5_000];

/**
 * Runs one item to its record: task, engine, filters, line. Whatever goes wrong with the item becomes its error line.
 * @throws ItemInterrupted when `scope.signal` fires first.
 */
export async function runItem(deps: ItemDeps, scope: ItemScope, item: Item): Promise<ResultRecord> {
  // By hand, not AbortSignal.timeout and AbortSignal.any: those live on until the time is over, for a million items too.
  const stop = new AbortController();
  const onLimit = () => stop.abort(new ItemTimeout(deps.itemTimeoutMs));
  const timer = setTimeout(onLimit, deps.itemTimeoutMs);
  const onInterrupt = () => stop.abort(new ItemInterrupted('interrupted', { cause: scope.signal.reason }));
  scope.signal.addEventListener('abort', onInterrupt, { once: true });
  if (scope.signal.aborted) onInterrupt();
  const requestId = newId('req_');
  const record = (status: number, body: unknown, usage: Usage | null) =>
    resultRecord(
      item.position,
      {
        id: lineId(scope.batchId, item.position),
        custom_id: item.custom_id,
        response: { status_code: status, request_id: requestId, body },
        error: null,
      },
      usage,
    );
  try {
    const answer = await answerItem(deps, scope, item, stop.signal);
    return record(200, answer.body, answer.usage);
  } catch (error) {
    if (error instanceof ItemInterrupted) throw error;
    const refusal = explain(error, deps.log, scope.batchId, item.custom_id);
    return record(refusal.status, refusal.body(), null);
  } finally {
    clearTimeout(timer);
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
  signal: AbortSignal,
): Promise<{ body: unknown; usage: Usage }> {
  const task = deps.tasks.get(item.url);
  if (task === undefined) throw new RequestError(404, `Unknown endpoint: ${item.url}`, { code: 'unknown_url' });
  for (let attempt = 0; ; attempt++) {
    try {
      const { capabilities } = deps.engine;
      const draft = await task.run(item.body, {
        tenant: scope.tenant,
        models: scope.models,
        image: capabilities.image,
        audio: capabilities.audio,
        generate: (request) => generate(deps, request, signal),
        readFile: scope.readFile,
        readObject: scope.readObject,
        signal,
      });
      // Before anything of the answer is written anywhere.
      const judged = await deps.filters.judge(draft.segments, {
        tenant: scope.tenant,
        batchId: scope.batchId,
        customId: item.custom_id,
        signal,
      });
      return { body: draft.finish(judged), usage: draft.usage };
    } catch (error) {
      signal.throwIfAborted();
      const pause = RETRY_PAUSES_MS[attempt];
      if (!mayPass(error) || pause === undefined) throw error;
      deps.log.warn({ err: error, batch: scope.batchId, item: item.custom_id, attempt }, 'trying an item again');
      await sleep(pause, undefined, { signal }).catch(() => {});
      signal.throwIfAborted();
    }
  }
}

/**
 * One engine call. If the engine dies under it, the call is tried once more with no other running beside it: what kills
 * the engine again then is the culprit and fails with `engine_crash`; the others were bystanders and get their answer.
 */
async function generate(deps: ItemDeps, request: GenerateRequest, signal: AbortSignal): Promise<Generation> {
  const call = () => deps.engine.generate(request, signal);
  try {
    return await deps.slots.run(call, signal);
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== 'engine_died') throw error;
  }
  try {
    return await deps.slots.runAlone(call, signal);
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== 'engine_died') throw error;
    throw new RequestError(500, 'The engine crashed on this item, twice. It was not tried again.', {
      code: 'engine_crash',
    });
  }
}

function mayPass(error: unknown): boolean {
  return error instanceof BucketUnavailableError || (error instanceof EngineError && error.code === 'engine_failed');
}

/** Any failure as the error its line shows. Nothing of our insides, or of an answer that was not judged, gets out. */
function explain(error: unknown, log: Logger, batch: string, item: string): RequestError {
  if (error instanceof RequestError) return error;
  if (error instanceof FilterError) {
    log.error({ err: error, batch, item }, 'a filter failed; the answer is not delivered');
    return new RequestError(500, 'The answer could not be checked by the content filters, so it is not delivered.', {
      code: 'filter_failed',
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
        log.error({ err: error, batch, item }, 'the engine failed');
        return new RequestError(500, 'The engine failed on this item.', { code: 'engine_error' });
    }
  }
  if (error instanceof BucketUnavailableError)
    return new RequestError(503, 'A file of this item could not be read: the object store did not answer.', {
      code: 'storage_unavailable',
    });
  log.error({ err: error, batch, item }, 'an item failed unexpectedly');
  return new RequestError(500, 'Internal error.', { code: 'internal_error' });
}
