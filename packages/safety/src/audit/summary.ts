import type { FindingCounts } from '@batchmill/contract';
import type { JudgedSegment } from '../port.ts';

/** An item's findings for the summary of its batch: each category once for each thing that was done about it; `null`: none. */
export function findingCounts(judged: readonly JudgedSegment[]): FindingCounts | null {
  const counts = new Map<string, { annotated: number; redacted: number; blocked: number }>();
  for (const { findings } of judged) {
    for (const { category, severity, action } of findings) {
      if (severity === 0) continue;
      const count = counts.get(category) ?? { annotated: 0, redacted: 0, blocked: 0 };
      if (action === 'annotate') count.annotated = 1;
      else if (action === 'redact') count.redacted = 1;
      else count.blocked = 1;
      counts.set(category, count);
    }
  }
  return counts.size === 0 ? null : Object.fromEntries(counts);
}
