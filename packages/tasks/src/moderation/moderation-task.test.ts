import { moderationTexts, NO_USAGE, RequestError } from '@batchmill/contract';
import { localFilters, moderate, Policy } from '@batchmill/safety';
import { expect, test } from 'vitest';
import { createTasks } from '../tasks.ts';
import { taskContext } from '../test-context.ts';

const policy = Policy.parse({ version: 1, name: 'strict', filters: { personal_data: {} } });
const filters = await localFilters(policy);

async function run(body: Record<string, unknown>, filtersUsed = filters) {
  const signal = new AbortController().signal;
  const { context, clear } = await taskContext(new Map(), {
    generate: () => Promise.reject(new Error('texts are judged without the engine')),
    moderate: async (texts) => ({
      model: `policy:${policy.name}`,
      results: await moderate(policy, filtersUsed, texts, { tenant: 'default', batchId: '', customId: '', signal }),
    }),
  });
  try {
    const task = createTasks().get('/v1/moderations');
    if (task === undefined) throw new Error('there is no such task');
    return await task.run(body, context);
  } finally {
    await clear();
  }
}

test('a result for each text, and nothing of the texts to be filtered', async () => {
  const draft = await run({ model: 'default', input: ['Write to joe@example.com', 'Nothing here.'] });
  expect(draft.segments).toEqual([]);
  expect(draft.usage).toEqual(NO_USAGE);
  const answer = draft.finish([]);
  expect(answer).toMatchObject({
    id: expect.stringMatching(/^modr-/),
    model: 'policy:strict',
    results: [{ flagged: true, findings: [{ category: 'personal_data', label: 'email' }] }, { flagged: false }],
  });
  expect(JSON.stringify(answer)).not.toContain('joe');
});

test.each<[Record<string, unknown>, string]>([
  [{}, 'input'],
  [{ input: '' }, 'input'],
  [{ input: ['', ''] }, 'input'],
  [{ input: { text: 'a' } }, 'input'],
  [{ input: 'a', model: 7 }, 'model'],
])('refused by name: %j', async (body, param) => {
  const error = await run(body).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(RequestError);
  expect(error).toMatchObject({ status: 400, param });
});

test('a filter that fails fails the item', async () => {
  const [first] = filters;
  if (first === undefined) throw new Error('there is no filter');
  const broken = { ...first, inspect: () => Promise.reject(new Error('broken')) };
  await expect(run({ input: 'a' }, [...filters, broken])).rejects.toMatchObject({ name: 'FilterError' });
});

test('texts of a request', () => {
  const part = (text: string) => ({ type: 'text' as const, text });
  expect(moderationTexts({ input: 'a' })).toEqual(['a']);
  expect(moderationTexts({ input: ['a', 'b'] })).toEqual(['a', 'b']);
  expect(moderationTexts({ input: [part('a'), part('b')] })).toEqual(['a\nb']);
});
