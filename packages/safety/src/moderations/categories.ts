import { type Category, KNOWN_CATEGORIES, TAXONOMY } from '../taxonomy.ts';

/** Ours of each category of OpenAI's moderation endpoint. */
export const CATEGORY_OF: ReadonlyMap<string, Category> = new Map(
  KNOWN_CATEGORIES.flatMap((category) => TAXONOMY[category].openai.map((name) => [name, category] as const)),
);

/** What a moderation endpoint can find. */
export const MODERATION_CATEGORIES: readonly Category[] = [...new Set(CATEGORY_OF.values())];

/** From which score on a finding has which severity. OpenAI flags at thresholds it does not publish; ours are these. */
const BANDS = [
  [0.85, 6],
  [0.6, 4],
  [0.3, 2],
  [0.1, 1],
] as const;

/**
 * The severity of a score from 0 to 1: 0 below 0.1, then 1, from 0.3 on 2, from 0.6 on 4, from 0.85 on 6. What the endpoint itself calls
 * a hit (`categories`) is at least 4, whatever the score: its makers know where that begins.
 */
export function severityOf(score: number, hit: boolean): 0 | 1 | 2 | 4 | 6 {
  const severity = BANDS.find(([from]) => score >= from)?.[1] ?? 0;
  return hit && severity < 4 ? 4 : severity;
}
