import { type Filter, localFilters, moderate, type Policy, policyHash } from '@batchmill/safety';
import type { Deps } from '../deps.ts';

/** Policies whose filters are kept. There are as many as operators write and combinations that keys choose: few. */
const KEPT = 32;

/**
 * Judges texts in this process: no model, no other service. Filters are loaded with the first texts and made once for a policy, since word
 * lists and patterns take a tenth of a second to compile.
 */
export function localModerator(): Deps['moderate'] {
  const kept = new Map<string, Promise<readonly Filter[]>>();
  const filtersOf = (policy: Policy): Promise<readonly Filter[]> => {
    const hash = policyHash(policy);
    const filters = kept.get(hash) ?? localFilters(policy);
    // The one used last stands last, and the first is given up.
    kept.delete(hash);
    kept.set(hash, filters);
    for (const [oldest] of kept) {
      if (kept.size <= KEPT) break;
      kept.delete(oldest);
    }
    return filters;
  };
  return async (policy, texts, signal) =>
    moderate(policy, await filtersOf(policy), texts, { tenant: '', batchId: '', customId: '', signal });
}
