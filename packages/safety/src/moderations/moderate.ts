import type { ModerationResult } from '@batchmill/contract';
import { inspectAll } from '../judge.ts';
import type { Policy } from '../policy/index.ts';
import type { AttributedFinding, Filter, FilterContext } from '../port.ts';
import { moderationResult } from './result.ts';

/**
 * Judges texts by a policy's filters for their own sake: what is found is told, and nothing is done about it. One result for
 * each text, in their order.
 * @throws FilterError if any filter fails.
 */
export async function moderate(
  policy: Policy,
  filters: readonly Filter[],
  texts: readonly string[],
  context: Pick<FilterContext, 'tenant' | 'batchId' | 'customId' | 'signal'>,
): Promise<ModerationResult[]> {
  const segments = texts.map((text, i) => ({ id: `input.${i}`, text }));
  const found: AttributedFinding[][] = await inspectAll(
    filters,
    segments,
    { ...context, asked: [], selfVerdicts: [] },
    policy.timeout_seconds * 1_000,
  );
  const looked = [...new Set(filters.flatMap((filter) => filter.categories))];
  return found.map((findings) => moderationResult(findings, looked));
}
