import type { Action } from '../port.ts';
import { type Category, SEXUAL_MINORS, type Severity } from '../taxonomy.ts';
import { MINORS, type Policy } from './schema.ts';

const STRONGEST_FIRST = ['block', 'redact', 'annotate'] as const satisfies readonly Action[];

/**
 * What the policy does about a finding: the strongest action whose threshold the severity reaches, or `null`: nothing.
 * Sexual content that involves minors is blocked from severity 1 on (0 says that it is safe), whatever the policy says.
 */
export function actionFor(policy: Pick<Policy, 'categories'>, category: Category, severity: Severity): Action | null {
  // Categories have any name, those of Object.prototype too.
  const own = Object.hasOwn(policy.categories, category) ? policy.categories[category] : undefined;
  const thresholds = category === SEXUAL_MINORS ? MINORS : own;
  if (thresholds === undefined) return null;
  return STRONGEST_FIRST.find((action) => severity >= (thresholds[action] ?? Number.POSITIVE_INFINITY)) ?? null;
}
