import type { ContentFilterResults, Severity } from '@batchmill/contract';
import { z } from 'zod';
import {
  type Filter,
  type FilterContext,
  FilterError,
  type JudgedSegment,
  type Segment,
  type Verdict,
} from './port.ts';

export interface FilterOptions {
  /** Longest one filter may look at one segment. Default 60 s. */
  timeoutMs?: number;
}

export interface Filters {
  /**
   * Sends every segment through all filters, each seeing what the one before it left. Segments are judged side by side,
   * the filters of one segment in order; a blocked segment is looked at no further.
   * @returns one judgement per segment, in the same order.
   * @throws FilterError if any filter fails in any way: the whole answer is then not to be delivered.
   */
  judge(segments: readonly Segment[], context: FilterContext): Promise<JudgedSegment[]>;
}

/** The pipeline of these filters, failing closed. Without filters everything passes. */
export function createFilters(filters: readonly Filter[], options: FilterOptions = {}): Filters {
  const timeoutMs = options.timeoutMs ?? 60_000;
  return {
    async judge(segments, context) {
      // One failure stops the filters that still look at other segments.
      const stop = new AbortController();
      const onAbort = () => stop.abort(context.signal.reason);
      if (context.signal.aborted) onAbort();
      context.signal.addEventListener('abort', onAbort, { once: true });
      try {
        const inner = { ...context, signal: stop.signal };
        return await Promise.all(segments.map((segment) => judgeSegment(segment, filters, inner, timeoutMs)));
      } catch (error) {
        stop.abort(error);
        throw error;
      } finally {
        context.signal.removeEventListener('abort', onAbort);
      }
    },
  };
}

async function judgeSegment(
  segment: Segment,
  filters: readonly Filter[],
  context: FilterContext,
  timeoutMs: number,
): Promise<JudgedSegment> {
  let { text } = segment;
  let results: ContentFilterResults = {};
  for (const filter of filters) {
    const verdict = await inspect(filter, { ...segment, text }, context, timeoutMs);
    results = mergeResults(results, verdict.results);
    if (verdict.action === 'block') return { ...segment, text: '', blocked: true, results };
    if (verdict.action === 'redact') text = verdict.text;
  }
  return { ...segment, text, blocked: false, results };
}

const SeverityLevel = z.enum(['safe', 'low', 'medium', 'high']);
const Results = z.record(
  z.string().min(1),
  z.strictObject({
    filtered: z.boolean(),
    severity: SeverityLevel.exactOptional(),
    detected: z.boolean().exactOptional(),
    redacted: z.boolean().exactOptional(),
  }),
);
/** Verdicts come from models and other people's code, so they are checked like anything else from outside. */
const CheckedVerdict: z.ZodType<Verdict> = z.discriminatedUnion('action', [
  z.strictObject({ action: z.literal('pass'), results: Results }),
  z.strictObject({ action: z.literal('redact'), text: z.string(), results: Results }),
  z.strictObject({ action: z.literal('block'), results: Results }),
]);

async function inspect(filter: Filter, segment: Segment, context: FilterContext, timeoutMs: number): Promise<Verdict> {
  const { signal } = context;
  const fail = (why: string, cause?: unknown) => new FilterError(filter.name, `filter '${filter.name}' ${why}`, cause);
  if (signal.aborted) throw fail('was stopped', signal.reason);
  const own = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let onAbort = () => {};
  const stopped = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(fail(`took longer than ${timeoutMs} ms`)), timeoutMs);
    onAbort = () => reject(fail('was stopped', signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    // In an async function, so that a filter that throws at once is no different from one that rejects.
    const looking = (async () => filter.inspect(segment, { ...context, signal: own.signal }))();
    const verdict = await Promise.race([looking, stopped]);
    const checked = CheckedVerdict.safeParse(verdict);
    if (!checked.success) throw fail('gave a verdict that cannot be read', checked.error);
    return checked.data;
  } catch (error) {
    // The filter may still be at work.
    own.abort(error);
    throw error instanceof FilterError ? error : fail('failed', error);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

const ORDER: Severity[] = ['safe', 'low', 'medium', 'high'];

/** What several looks at an answer found, category by category: the worst of each. */
export function mergeResults(...all: ContentFilterResults[]): ContentFilterResults {
  const merged: ContentFilterResults = {};
  for (const results of all) {
    for (const [category, found] of Object.entries(results)) {
      const before = merged[category];
      if (before === undefined) {
        merged[category] = { ...found };
        continue;
      }
      before.filtered ||= found.filtered;
      if (found.detected !== undefined) before.detected = before.detected === true || found.detected;
      if (found.redacted !== undefined) before.redacted = before.redacted === true || found.redacted;
      if (found.severity !== undefined) {
        const worse = before.severity === undefined || ORDER.indexOf(found.severity) > ORDER.indexOf(before.severity);
        if (worse) before.severity = found.severity;
      }
    }
  }
  return merged;
}
