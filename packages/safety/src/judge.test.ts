import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createJudge, mergeResults } from './judge.ts';
import { DEFAULT_POLICY, type Policy } from './policy/index.ts';
import { type Filter, type FilterContext, FilterError, type Finding, type Segment } from './port.ts';

const context: FilterContext = {
  tenant: 'default',
  batchId: 'batch_1',
  customId: 'a',
  asked: [],
  selfVerdicts: [],
  signal: new AbortController().signal,
};
const segments = [
  { id: 'choices.0.content', text: 'one two' },
  { id: 'choices.0.reasoning', text: 'two three' },
];
const policy = (categories: Policy['categories'], more: Partial<Policy> = {}): Policy => ({
  ...DEFAULT_POLICY,
  categories,
  ...more,
});
const filter = (inspect: Filter['inspect'], more: Partial<Filter> = {}): Filter => ({
  name: 'made_up',
  version: '1',
  categories: ['words'],
  exact: true,
  inspect,
  ...more,
});
const finding = (more: Partial<Finding>): Finding => ({
  category: 'words',
  severity: 4,
  score: 1,
  label: 'word',
  spans: [],
  ...more,
});
/** Finds every place of a word. */
const finding_ = (word: string, more: Partial<Finding> = {}, of: Partial<Filter> = {}) =>
  filter(
    async (texts) =>
      texts.map(({ text }) =>
        [...text.matchAll(new RegExp(word, 'g'))].map((m) =>
          finding({ ...more, spans: [{ start: m.index, end: m.index + word.length }] }),
        ),
      ),
    of,
  );
const textsOf = async (judging: Promise<{ text: string; blocked: boolean }[]>) =>
  (await judging).map(({ text, blocked }) => (blocked ? null : text));

describe('createJudge', () => {
  it('lets pass what no filter looks at', async () => {
    expect(await createJudge(policy({}), []).judge(segments, context)).toEqual(
      segments.map((s) => ({ ...s, blocked: false, redacted: false, results: {}, findings: [] })),
    );
  });

  it('does what the policy says from which severity on', async () => {
    const found = (severity: number) => [finding_('two', { severity })];
    const categories = { words: { annotate: 1, redact: 3, block: 5 } };
    const at = (severity: number) => createJudge(policy(categories), found(severity)).judge(segments, context);
    expect(await textsOf(at(0))).toEqual(['one two', 'two three']);
    expect(await textsOf(at(1))).toEqual(['one two', 'two three']);
    expect(await textsOf(at(3))).toEqual(['one [word]', '[word] three']);
    expect(await textsOf(at(5))).toEqual([null, null]);
    const [annotated] = await at(1);
    expect(annotated?.findings).toMatchObject([{ action: 'annotate', filter: 'made_up', version: '1', severity: 1 }]);
    expect(annotated?.results).toEqual({ words: { filtered: false, detected: true } });
    expect((await at(3))[0]).toMatchObject({ redacted: true, results: { words: { redacted: true } } });
    expect((await at(5))[0]).toMatchObject({ text: '', results: { words: { filtered: true, detected: true } } });
  });

  it("gives Azure's four a severity, and says of every category that was looked for that nothing was found", async () => {
    const hate = filter(async (texts) => texts.map(() => [finding({ category: 'hate', severity: 4 })]), {
      categories: ['hate', 'violence', 'privacy'],
    });
    const [first] = await createJudge(policy({ hate: { annotate: 0 } }), [hate]).judge(segments, context);
    expect(first?.results).toEqual({
      hate: { filtered: false, severity: 'medium' },
      violence: { filtered: false, severity: 'safe' },
      privacy: { filtered: false, detected: false },
    });
  });

  it('shows every filter the text as the model wrote it', async () => {
    const seen: string[] = [];
    const watching = filter(
      async (texts) => {
        seen.push(...texts.map((t) => t.text));
        return texts.map(() => []);
      },
      { exact: false },
    );
    await createJudge(policy({ words: { redact: 1 } }), [finding_('two'), watching]).judge(segments, context);
    expect(seen).toEqual(['one two', 'two three']);
  });

  it('looks again at what masking brings to light, but not at its own placeholders', async () => {
    const text = 'axx-bxb';
    const hidden = finding_('b\\[word\\]b', { label: 'pair' });
    const placeholders = finding_('word', { label: 'word' });
    const judge = createJudge(policy({ words: { redact: 1 } }), [
      finding_('x'),
      {
        ...hidden,
        inspect: async (t, c) =>
          (await hidden.inspect(t, c)).map((all) =>
            all.map((f) => ({ ...f, spans: f.spans.map((s) => ({ ...s, end: s.start + 8 })) })),
          ),
      },
      placeholders,
    ]);
    expect(await textsOf(judge.judge([{ id: 'a', text }], context))).toEqual(['a[word][word]-[pair]']);
  });

  it('withholds an answer that no number of redactions makes clean', async () => {
    // One letter at a look, outside of what is masked already.
    const slow = filter(async (texts) =>
      texts.map(({ text }) => {
        const start = text.replaceAll('[word]', '######').search(/[a-z]/);
        return start === -1 ? [] : [finding({ spans: [{ start, end: start + 1 }] })];
      }),
    );
    const judge = createJudge(policy({ words: { redact: 1 } }), [slow]);
    expect(await textsOf(judge.judge([{ id: 'a', text: 'abc' }], context))).toEqual(['[word][word][word]']);
    await expect(judge.judge([{ id: 'a', text: 'abcdefghijklmnop' }], context)).rejects.toBeInstanceOf(FilterError);
  });

  it('masks all of a text of which a filter does not say where', async () => {
    const whole = filter(async (texts) => texts.map(() => [finding({ label: 'all' })]), { exact: false });
    expect(await textsOf(createJudge(policy({ words: { redact: 1 } }), [whole]).judge(segments, context))).toEqual([
      '[all]',
      '[all]',
    ]);
  });

  it('blocks sexual content with minors whatever the policy says', async () => {
    const minors = filter(async (texts) => texts.map(() => [finding({ category: 'sexual_minors', severity: 1 })]), {
      categories: ['sexual_minors'],
    });
    for (const categories of [{}, { sexual_minors: { annotate: 0 } }])
      expect(await textsOf(createJudge(policy(categories), [minors]).judge(segments, context))).toEqual([null, null]);
  });

  const nonsense: [string, unknown][] = [
    ['nothing', undefined],
    ['null', null],
    ['too few', [[]]],
    ['a word', ['pass', 'pass']],
    ['a category that is none of the filter', [[finding({ category: 'hate' })], []]],
    ['an unknown severity', [[{ ...finding({}), severity: 7 }], []]],
    ['a span outside the text', [[finding({ spans: [{ start: 0, end: 8 }] })], []]],
    ['a span that is none', [[finding({ spans: [{ start: 3, end: 3 }] })], []]],
    ['a label that could be text', [[finding({ label: 'two words' })], []]],
    ['text besides', [[{ ...finding({}), text: 'one' }], []]],
  ];
  it.each(nonsense)('fails closed on %s for findings', async (_, findings) => {
    // What a filter written in JavaScript could hand over.
    const judge = createJudge(policy({}), [filter(async () => findings as Finding[][])]);
    await expect(judge.judge(segments, context)).rejects.toEqual(
      expect.objectContaining({
        name: 'FilterError',
        filter: 'made_up',
        message: expect.stringMatching(/cannot be read/),
      }),
    );
  });

  it('fails closed on exceptions, thrown or rejected', async () => {
    const cause = new Error('secret text of an answer');
    for (const inspect of [
      async () => Promise.reject(cause),
      () => {
        throw cause;
      },
    ]) {
      const error = await createJudge(policy({}), [filter(inspect)])
        .judge(segments, context)
        .catch((e: unknown) => e);
      expect(error).toBeInstanceOf(FilterError);
      expect(String(error)).not.toContain('secret');
    }
  });

  it('fails closed on time-outs and tells the filter to stop', async () => {
    let told = false;
    const slow = filter(async (texts: readonly Segment[], { signal }) => {
      signal.addEventListener('abort', () => {
        told = true;
      });
      await sleep(5_000, undefined, { signal });
      return texts.map(() => []);
    });
    const judge = createJudge(policy({}, { timeout_seconds: 0.03 }), [slow]);
    await expect(judge.judge(segments, context)).rejects.toThrow(/longer than 30 ms/);
    expect(told).toBe(true);
  });

  it('fails closed when the caller stops it, before or during', async () => {
    const slow = filter(async (texts) => {
      await sleep(5_000, undefined, { ref: false });
      return texts.map(() => []);
    });
    const stop = new AbortController();
    const judging = createJudge(policy({}), [slow]).judge(segments, { ...context, signal: stop.signal });
    setTimeout(() => stop.abort(), 10);
    await expect(judging).rejects.toBeInstanceOf(FilterError);
    await expect(
      createJudge(policy({}), [finding_('a')]).judge(segments, { ...context, signal: stop.signal }),
    ).rejects.toBeInstanceOf(FilterError);
  });
});

describe('mergeResults', () => {
  it('keeps the worst of each category', () => {
    expect(
      mergeResults(
        { hate: { filtered: false, severity: 'medium' }, personal_data: { filtered: false, detected: false } },
        {
          hate: { filtered: true, severity: 'low' },
          personal_data: { filtered: false, detected: true, redacted: true },
        },
        { violence: { filtered: false, severity: 'safe' } },
      ),
    ).toEqual({
      hate: { filtered: true, severity: 'medium' },
      personal_data: { filtered: false, detected: true, redacted: true },
      violence: { filtered: false, severity: 'safe' },
    });
  });

  it('takes any name for a category, that of what every object has too', () => {
    const found = { filtered: true, detected: true };
    expect(Object.entries(mergeResults({ constructor: found }, { constructor: { filtered: false } }))).toEqual([
      ['constructor', found],
    ]);
  });

  it('changes none of what it is given', () => {
    const first = { hate: { filtered: false } };
    mergeResults(first, { hate: { filtered: true } });
    expect(first).toEqual({ hate: { filtered: false } });
  });
});
