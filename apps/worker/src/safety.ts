import type { Config } from '@batchmill/config';
import { EngineError } from '@batchmill/engine';
import { categoriesOf, type Filter, FilterError, localFilters, type Policy, selfJudge } from '@batchmill/safety';
import type { Logger } from '@batchmill/telemetry';
import { type GuardOptions, guard } from './guard-model/guard.ts';
import { startGuard } from './guard-model/start.ts';
import { EngineHost } from './infer/engine-host.ts';
import { ANYBODY } from './infer/fair-order.ts';
import type { BatchSafety } from './infer/judges.ts';
import { Slots } from './infer/slots.ts';
import { sparingBystanders } from './infer/suspects.ts';
import { modelFile } from './model-files.ts';

/** The filters of policies, with what they need in this worker: the guard model, the moderation endpoint. */
export interface Safety {
  /**
   * A policy's filters. One that this worker cannot run (no guard model is configured) is `unavailable`: items become errors
   * before anything is made of them.
   */
  of(policy: Policy): Promise<Pick<BatchSafety, 'filters' | 'selfJudge'>>;
  close(): Promise<void>;
}

export async function openSafety(
  config: Config,
  log: Logger,
  onProgress?: (message: string, done?: number, total?: number) => void,
): Promise<Safety> {
  const { guardModel, guardSlots, moderationsUrl, moderationsKey } = config.safety;
  let host: EngineHost | null = null;
  let engine: GuardOptions['engine'] | null = null;
  if (guardModel !== null) {
    onProgress?.('loading the guard model');
    const modelPath = await modelFile(config, guardModel, null, onProgress);
    const { threads } = config.engine;
    const start = () => startGuard({ modelPath, slots: guardSlots, ...(threads === null ? {} : { threads }) });
    host = await EngineHost.open(start, log, 'guard model');
    engine = crashProof(host);
  }
  return {
    of: async (policy) => {
      const { filters: wanted } = policy;
      // Once for each policy: filters are made once.
      if (policy.withheld === 'quarantine' && config.safety.quarantineRecipient === null)
        log.warn({ policy: policy.name }, 'what this policy withholds is dropped: set QUARANTINE_RECIPIENT to keep it');
      const filters = await localFilters(policy);
      for (const { format, window } of wanted.guard ?? [])
        filters.push(
          engine === null
            ? unavailable('guard', policy, 'this worker has no guard model: set GUARD_MODEL')
            : guard({ engine, format, window }),
        );
      for (const { model: name } of wanted.moderations ?? []) {
        if (moderationsUrl === null) {
          filters.push(
            unavailable('moderations', policy, 'this worker has no moderation endpoint: set MODERATIONS_URL'),
          );
          continue;
        }
        const { moderations } = await import('@batchmill/safety/moderations');
        const key = moderationsKey === null ? {} : { key: moderationsKey };
        filters.push(moderations({ url: moderationsUrl, model: name, ...key }));
      }
      const judge = wanted.self_judge === undefined ? null : selfJudge(wanted.self_judge);
      if (judge !== null) filters.push(judge);
      return { filters, selfJudge: judge?.judge ?? null };
    },
    close: async () => {
      await host?.close();
    },
  };
}

/** A text that kills the guard model fails alone; the model is started again, and judges the others meanwhile waiting. */
function crashProof(host: EngineHost): GuardOptions['engine'] {
  const { capabilities } = host;
  const slots = new Slots(capabilities.slots);
  const crashed = () => new EngineError('engine_died', 'the guard model crashed on this text, twice');
  return {
    capabilities,
    classify: (request, signal) =>
      sparingBystanders(slots, ANYBODY, () => host.classify(request, signal), signal, crashed),
  };
}

function unavailable(name: string, policy: Policy, why: string): Filter {
  const error = new FilterError(name, why);
  return {
    name,
    version: 'none',
    categories: [...categoriesOf(policy.filters)],
    exact: false,
    unavailable: error,
    inspect: () => Promise.reject(error),
  };
}
