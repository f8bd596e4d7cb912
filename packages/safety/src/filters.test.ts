import { setTimeout as sleep } from 'node:timers/promises';
import type { ContentFilterResults } from '@batchmill/contract';
import { describe, expect, it } from 'vitest';
import { createFilters, mergeResults } from './filters.ts';
import { type Filter, type FilterContext, FilterError, type Verdict } from './port.ts';

const context: FilterContext = {
  tenant: 'default',
  batchId: 'batch_1',
  customId: 'a',
  signal: new AbortController().signal,
};
const segments = [
  { id: 'choices.0.content', text: 'one two' },
  { id: 'choices.0.reasoning', text: 'two three' },
];
const filter = (name: string, inspect: Filter['inspect']): Filter => ({ name, inspect });
const replacing = (from: string, to: string, results: ContentFilterResults = {}) =>
  filter(`replace ${from}`, async ({ text }) =>
    text.includes(from)
      ? { action: 'redact', text: text.replaceAll(from, to), results }
      : { action: 'pass', results: {} },
  );

describe('createFilters', () => {
  it('passes everything without filters', async () => {
    expect(await createFilters([]).judge(segments, context)).toEqual(
      segments.map((s) => ({ ...s, blocked: false, results: {} })),
    );
  });

  it('hands what one filter left to the next, in order, and merges what they found', async () => {
    const filters = createFilters([
      replacing('two', '2', { a: { filtered: false, redacted: true } }),
      replacing('2', 'II', { a: { filtered: false, detected: true }, b: { filtered: false, severity: 'low' } }),
    ]);
    const results = {
      a: { filtered: false, redacted: true, detected: true },
      b: { filtered: false, severity: 'low' },
    };
    expect(await filters.judge(segments, context)).toEqual([
      { id: 'choices.0.content', text: 'one II', blocked: false, results },
      { id: 'choices.0.reasoning', text: 'II three', blocked: false, results },
    ]);
  });

  it('leaves nothing of a blocked segment and shows it to no further filter', async () => {
    const seen: string[] = [];
    const filters = createFilters([
      filter('block one', async ({ text }) =>
        text.includes('one')
          ? { action: 'block', results: { x: { filtered: true } } }
          : { action: 'pass', results: {} },
      ),
      filter('watch', async ({ text }) => {
        seen.push(text);
        return { action: 'pass', results: {} };
      }),
    ]);
    const [first, second] = await filters.judge(segments, context);
    expect(first).toEqual({ id: 'choices.0.content', text: '', blocked: true, results: { x: { filtered: true } } });
    expect(second?.blocked).toBe(false);
    expect(seen).toEqual(['two three']);
  });

  const verdicts: [string, unknown][] = [
    ['nothing', undefined],
    ['null', null],
    ['a word', 'pass'],
    ['an unknown action', { action: 'allow', results: {} }],
    ['no results', { action: 'pass' }],
    ['a redaction without text', { action: 'redact', results: {} }],
    ['a result that is no object', { action: 'pass', results: { hate: true } }],
    ['an unknown severity', { action: 'pass', results: { hate: { filtered: false, severity: 'awful' } } }],
    ['a pass with a text', { action: 'pass', text: 'x', results: {} }],
  ];
  it.each(verdicts)('fails closed on %s for a verdict', async (_, verdict) => {
    // What a filter written in JavaScript could hand over.
    const filters = createFilters([filter('odd', async () => verdict as Verdict)]);
    await expect(filters.judge(segments, context)).rejects.toEqual(
      expect.objectContaining({ name: 'FilterError', filter: 'odd', message: expect.stringMatching(/cannot be read/) }),
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
      const error = await createFilters([filter('broken', inspect)])
        .judge(segments, context)
        .catch((e: unknown) => e);
      expect(error).toBeInstanceOf(FilterError);
      expect(error).toMatchObject({ filter: 'broken', cause });
      expect(String(error)).not.toContain('secret');
    }
  });

  it('fails closed on time-outs and tells the filter to stop', async () => {
    let told = false;
    const slow = filter('slow', async (_, { signal }) => {
      signal.addEventListener('abort', () => {
        told = true;
      });
      await sleep(5_000, undefined, { signal });
      return { action: 'pass', results: {} };
    });
    const started = performance.now();
    await expect(createFilters([slow], { timeoutMs: 30 }).judge(segments, context)).rejects.toThrow(
      /longer than 30 ms/,
    );
    expect(performance.now() - started).toBeLessThan(1_000);
    expect(told).toBe(true);
  });

  it('fails closed when the caller stops it, before or during', async () => {
    const slow = filter('slow', async () => {
      await sleep(5_000, undefined, { ref: false });
      return { action: 'pass', results: {} };
    });
    const stop = new AbortController();
    const judging = createFilters([slow]).judge(segments, { ...context, signal: stop.signal });
    setTimeout(() => stop.abort(), 10);
    await expect(judging).rejects.toBeInstanceOf(FilterError);
    await expect(
      createFilters([replacing('a', 'b')]).judge(segments, { ...context, signal: stop.signal }),
    ).rejects.toBeInstanceOf(FilterError);
  });

  it('delivers nothing of an answer of which one part could not be judged', async () => {
    const partly = filter('partly', async ({ text }) => {
      if (text.includes('three')) throw new Error('no');
      return { action: 'pass', results: {} };
    });
    await expect(createFilters([partly]).judge(segments, context)).rejects.toBeInstanceOf(FilterError);
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

  it('changes none of what it is given', () => {
    const first = { hate: { filtered: false } };
    mergeResults(first, { hate: { filtered: true } });
    expect(first).toEqual({ hate: { filtered: false } });
  });
});
