import { FORMATS } from '@batchmill/safety';
import { expect, test } from 'vitest';
import { type Ask, bandOf, judge } from './judge.ts';

/** A model that goes on in one way: the candidate its text begins with is certain. `unsure` says otherwise for some prompts. */
function says(text: string, unsure: (prompt: string) => Record<string, number> | null = () => null) {
  const asked: string[] = [];
  const ask: Ask = async (prompt, candidates) => {
    const last = prompt.map((part) => (typeof part === 'string' ? part : part.text)).join('');
    asked.push(last);
    const other = unsure(last);
    if (other !== null) return other;
    // Longest first: `10` is no `1`.
    const begun = longestEnd(last, text);
    const chosen = candidates.toSorted((a, b) => b.length - a.length).find((one) => text.startsWith(one, begun));
    return Object.fromEntries(candidates.map((one) => [one, one === chosen ? 1 : 0]));
  };
  return { ask, asked };
}

/** How much of the answer's text the prompt ends with. */
function longestEnd(prompt: string, text: string): number {
  for (let length = text.length; length > 0; length--) if (prompt.endsWith(text.slice(0, length))) return length;
  return 0;
}

const judged = (name: keyof typeof FORMATS, ask: Ask) =>
  judge(FORMATS[name], FORMATS[name].questions([{ role: 'user', text: 'Q' }], 'A'), ask);

test('bands', () => {
  expect([0, 0.29, 0.3, 0.49, 0.5, 0.79, 0.8, 1].map(bandOf)).toEqual([0, 0, 2, 2, 4, 4, 6, 6]);
});

test('Llama Guard: safe is one question and no category', async () => {
  const { ask, asked } = says('safe');
  expect(await judged('llama_guard_3', ask)).toEqual([]);
  expect(asked).toHaveLength(1);
});

test('Llama Guard: every category on the second line', async () => {
  const { ask } = says('unsafe\nS1,S4,S14');
  expect((await judged('llama_guard_3', ask)).map(({ category }) => category)).toEqual([
    'violence',
    'sexual_minors',
    'illicit',
  ]);
});

test('Llama Guard: a category it nearly named counts too', async () => {
  const { ask } = says('unsafe\nS12', (prompt) =>
    prompt.endsWith('unsafe\nS') ? { '12': 0.6, '4': 0.35, '1': 0.05 } : null,
  );
  const categories = (await judged('llama_guard_4', ask)).map(({ category }) => category);
  expect(new Set(categories)).toEqual(new Set(['sexual', 'sexual_minors']));
});

test('unsafe without a category is unsafe', async () => {
  const { ask } = says('unsafe');
  expect(await judged('llama_guard_3', ask)).toEqual([{ category: 'unsafe', score: 1, severity: 6 }]);
});

test('the score is the probability among the verdicts', async () => {
  const { ask } = says('unsafe\nS2', (prompt) =>
    prompt.endsWith('assistant<|end_header_id|>\n\n') ? { safe: 0.1, unsafe: 0.3 } : null,
  );
  expect(await judged('llama_guard_3', ask)).toEqual([
    { category: 'illicit', score: expect.closeTo(0.75), severity: 4 },
  ]);
});

test('Qwen3Guard: controversial is medium at most, and its categories are asked after it', async () => {
  const { ask, asked } = says(' Controversial\nCategories: PII, Violent\n');
  expect(await judged('qwen3_guard', ask)).toEqual([
    { category: 'privacy', score: 1, severity: 4 },
    { category: 'violence', score: 1, severity: 4 },
  ]);
  expect(asked.at(-1)).toMatch(/Safety: Controversial\nCategories: PII, Violent$/);
  expect(await judged('qwen3_guard', says(' Unsafe\nCategories: Copyright Violation\n').ask)).toEqual([
    { category: 'intellectual_property', score: 1, severity: 6 },
  ]);
  expect(await judged('qwen3_guard', says(' Safe\nCategories: None\n').ask)).toEqual([]);
});

test.each(['shield_gemma', 'granite_guardian'] as const)(
  '%s: each question has a category of its own',
  async (name) => {
    const yes = (prompt: string) => /sexual acts|sexual activities/.test(prompt.slice(-800));
    const { ask } = says('', (prompt) => (yes(prompt) ? { Yes: 0.45, No: 0.05 } : { Yes: 0.02, No: 0.98 }));
    const all = await judged(name, ask);
    expect(all.map(({ category }) => category)).toEqual(FORMATS[name].categories);
    expect(all.filter(({ severity }) => severity > 0)).toEqual([
      { category: 'sexual', score: expect.closeTo(0.9), severity: 6 },
    ]);
  },
);

test('no verdict is an error, not a clean bill', async () => {
  await expect(judged('llama_guard_3', says('I cannot say').ask)).rejects.toThrow('gives no verdict');
});
