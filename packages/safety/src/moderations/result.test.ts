import { ModerationResult } from '@batchmill/contract';
import { expect, test } from 'vitest';
import type { AttributedFinding } from '../port.ts';
import { TAXONOMY } from '../taxonomy.ts';
import { severityOf } from './categories.ts';
import { moderationResult } from './result.ts';

const finding = (more: Partial<AttributedFinding>): AttributedFinding => ({
  category: 'hate',
  severity: 4,
  score: 0.7,
  label: 'hate',
  spans: [],
  filter: 'guard',
  version: '1',
  ...more,
});

test('every category of the endpoint is there, whatever was found', () => {
  const result = ModerationResult.parse(moderationResult([], ['hate']));
  const names = Object.values(TAXONOMY).flatMap(({ openai }) => openai);
  expect(Object.keys(result.categories).toSorted()).toEqual(names.toSorted());
  expect(Object.keys(result.category_scores).toSorted()).toEqual(names.toSorted());
  expect(result).toMatchObject({ flagged: false, findings: [], looked_for: ['hate'] });
  expect(Object.values(result.categories)).not.toContain(true);
});

test('a finding is true for all categories of ours, with the worst score, and told as it is', () => {
  const spans = [{ start: 1, end: 3 }];
  const result = moderationResult([finding({}), finding({ score: 0.9, severity: 6, spans })], ['hate']);
  expect(result.flagged).toBe(true);
  expect(result.categories).toMatchObject({ hate: true, 'hate/threatening': true, harassment: false });
  expect(result.category_scores).toMatchObject({ hate: 0.9, violence: 0 });
  expect(result.findings[1]).toEqual({
    category: 'hate',
    severity: 6,
    score: 0.9,
    label: 'hate',
    spans,
    filter: 'guard',
    version: '1',
  });
});

test('what is slight is told, not flagged; what OpenAI has no category for is flagged and told', () => {
  expect(moderationResult([finding({ severity: 1, score: 0.2 })], ['hate'])).toMatchObject({
    flagged: false,
    categories: { hate: false },
    category_scores: { hate: 0.2 },
  });
  const own = moderationResult([finding({ category: 'internal', label: 'ticket' })], ['internal']);
  expect(own.flagged).toBe(true);
  expect(Object.values(own.categories)).not.toContain(true);
});

test('severities of scores', () => {
  const of = (score: number) => severityOf(score, false);
  expect([0, 0.09, 0.1, 0.29, 0.3, 0.6, 0.84, 0.85, 1].map(of)).toEqual([0, 0, 1, 1, 2, 4, 4, 6, 6]);
  expect([0, 0.5, 0.9].map((score) => severityOf(score, true))).toEqual([4, 4, 6]);
});
