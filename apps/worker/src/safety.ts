import type { Config } from '@batchmill/config';
import { type Engine, startNodeLlamaCpp } from '@batchmill/engine';
import {
  categoriesOf,
  type Filter,
  FilterError,
  guard,
  localFilters,
  moderations,
  type Policy,
  selfJudge,
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

/** Context of a guard model's slot: a window, what was asked, and the model's own instructions. */
const GUARD_CONTEXT_TOKENS = 8_192;

export async function openSafety(
  config: Config,
  log: Logger,
  onProgress?: (message: string, done?: number, total?: number) => void,
): Promise<Safety> {
  const { guardModel, guardSlots, moderationsUrl, moderationsKey } = config.safety;
  let guardEngine: Engine | null = null;
  if (guardModel !== null) {
    onProgress?.('loading the guard model');
    guardEngine = await startNodeLlamaCpp({
      modelPath: await modelFile(config, guardModel, null, onProgress),
      model: 'guard',
      slots: guardSlots,
      contextTokens: GUARD_CONTEXT_TOKENS,
      ...(config.engine.threads === null ? {} : { threads: config.engine.threads }),
    });
    void guardEngine.ended.then((death) => {
      if (death !== null)
        log.error({ code: death.code, signal: death.signal }, 'the guard model died; restart the worker');
    });
  }
  return {
    of: (policy) => {
      const { filters: wanted } = policy;
      const filters: Filter[] = localFilters(policy);
      for (const { format, window } of wanted.guard ?? [])
        filters.push(
          guardEngine === null
            ? unavailable('guard', policy, 'this worker has no guard model: set GUARD_MODEL')
            : guard({ engine: guardEngine, format, window }),
        );
      for (const { model } of wanted.moderations ?? [])
        filters.push(
          moderationsUrl === null
            ? unavailable('moderations', policy, 'this worker has no moderation endpoint: set MODERATIONS_URL')
            : moderations({ url: moderationsUrl, model, ...(moderationsKey === null ? {} : { key: moderationsKey }) }),
        );
      const judge = wanted.self_judge === undefined ? null : selfJudge(wanted.self_judge);
      if (judge !== null) filters.push(judge);
      return { filters, selfJudge: judge?.judge ?? null };
    },
    close: async () => {
      await guardEngine?.close();
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
