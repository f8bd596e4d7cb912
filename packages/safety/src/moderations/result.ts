import type { ModerationResult } from '@batchmill/contract';
import type { AttributedFinding } from '../port.ts';
import type { Category } from '../taxonomy.ts';
import { CATEGORY_OF } from './categories.ts';

export type { ModerationResult } from '@batchmill/contract';

/**
 * Findings of one text in the shape of OpenAI's moderation endpoint, and as they are. A category is `true` from severity 2
 * on, and its score is the worst that was found; `flagged` if anything was found from there on, in a category of OpenAI's or not.
 */
export function moderationResult(
  findings: readonly AttributedFinding[],
  looked: readonly Category[],
): ModerationResult {
  const categories: Record<string, boolean> = {};
  const scores: Record<string, number> = {};
  const types: Record<string, ['text']> = {};
  for (const [name, category] of CATEGORY_OF) {
    const own = findings.filter((finding) => finding.category === category);
    categories[name] = own.some(({ severity }) => severity >= 2);
    scores[name] = own.reduce((most, { score, severity }) => Math.max(most, severity === 0 ? 0 : score), 0);
    types[name] = ['text'];
  }
  return {
    flagged: findings.some(({ severity }) => severity >= 2),
    categories,
    category_scores: scores,
    category_applied_input_types: types,
    findings: findings.map(({ category, severity, score, label, spans, filter, version }) => ({
      category,
      severity,
      score,
      label,
      spans: spans.map(({ start, end }) => ({ start, end })),
      filter,
      version,
    })),
    looked_for: [...looked],
  };
}
