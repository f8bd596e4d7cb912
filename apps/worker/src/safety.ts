import type { Config } from '@batchmill/config';
import {
  categoriesOf,
  type Filter,
  FilterError,
  type GuardModel,
  localFilters,
  moderations,
  type Policy,
  selfJudge,
  startGuard,
} from '@batchmill/safety';
import type { Logger } from '@batchmill/telemetry';
import type { BatchSafety } from './infer/judges.ts';
import { modelFile } from './model-files.ts';

/** The filters of policies, with what they need in this worker: the guard model, the moderation endpoint. */
export interface Safety {
  /**
   * A policy's filters. One that this worker cannot run (no guard model is configured) fails every text: its items become
   * errors, and nothing unread gets out.
   */
  of(policy: Policy): Pick<BatchSafety, 'filters' | 'selfJudge'>;
  close(): Promise<void>;
}

export async function openSafety(
  config: Config,
  log: Logger,
  onProgress?: (message: string, done?: number, total?: number) => void,
): Promise<Safety> {
  const { guardModel, guardSlots, moderationsUrl, moderationsKey } = config.safety;
  let model: GuardModel | null = null;
  if (guardModel !== null) {
    onProgress?.('loading the guard model');
    model = await startGuard({
      modelPath: await modelFile(config, guardModel, null, onProgress),
      slots: guardSlots,
      ...(config.engine.threads === null ? {} : { threads: config.engine.threads }),
    });
    void model.ended.then((death) => {
      // Its filters throw from now on, so that nothing gets out unread meanwhile.
      if (death !== null)
        log.error({ code: death.code, signal: death.signal }, 'the guard model died; restart the worker');
    });
  }
  return {
    of: (policy) => {
      const { filters: wanted } = policy;
      // Once for each policy: filters are made once.
      if (policy.withheld === 'quarantine' && config.safety.quarantineRecipient === null)
        log.warn({ policy: policy.name }, 'what this policy withholds is dropped: set QUARANTINE_RECIPIENT to keep it');
      const filters: Filter[] = localFilters(policy);
      for (const { format, window } of wanted.guard ?? [])
        filters.push(
          model === null
            ? unavailable('guard', policy, 'this worker has no guard model: set GUARD_MODEL')
            : model.filter({ format, window }),
        );
      for (const { model: name } of wanted.moderations ?? [])
        filters.push(
          moderationsUrl === null
            ? unavailable('moderations', policy, 'this worker has no moderation endpoint: set MODERATIONS_URL')
            : moderations({
                url: moderationsUrl,
                model: name,
                ...(moderationsKey === null ? {} : { key: moderationsKey }),
              }),
        );
      const judge = wanted.self_judge === undefined ? null : selfJudge(wanted.self_judge);
      if (judge !== null) filters.push(judge);
      return { filters, selfJudge: judge?.judge ?? null };
    },
    close: async () => {
      await model?.close();
    },
  };
}

function unavailable(name: string, policy: Policy, why: string): Filter {
  return {
    name,
    version: 'none',
    categories: [...categoriesOf(policy.filters)],
    exact: false,
    inspect: () => Promise.reject(new FilterError(name, why)),
  };
}
