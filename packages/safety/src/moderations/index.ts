import { setTimeout as pauseFor } from 'node:timers/promises';
import {
  BrokenCircuitError,
  bulkhead,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhen,
  type IPolicy,
  wrap,
} from 'cockatiel';
import { fetch } from 'undici';
import { z } from 'zod';
import type { Filter, Finding, Segment, Span } from '../port.ts';
import type { Severity } from '../taxonomy.ts';
import { windowsOf } from '../windows.ts';
import { CATEGORY_OF, MODERATION_CATEGORIES, severityOf } from './categories.ts';

export { CATEGORY_OF, MODERATION_CATEGORIES, severityOf } from './categories.ts';

export interface ModerationsOptions {
  /** `https://api.openai.com/v1/moderations`, or whatever answers like it. The operator's choice, never a tenant's. */
  url: string;
  key?: string;
  /** Default `omni-moderation-latest`. */
  model?: string;
  /** Of one request. Default 10 s. */
  timeoutMs?: number;
  /** Pauses before a request is tried again after 408, 429 or 5xx; `retry-after` is honoured up to 10 s. Default 0.2, 1, 3 s. */
  pausesMs?: readonly number[];
  /** Failures in a row after which nothing is asked for `openMs`: every answer is then withheld at once. Default 5 and 30 s. */
  failures?: number;
  openMs?: number;
}

/** Units of text a request judges at once, of which so many are judged again with the next; and texts in one request. */
const WINDOW = 10_000;
const OVERLAP = 1_000;
const TEXTS = 32;
/** Requests under way at once, of all answers: those of a long one, or of many, wait. */
const AT_ONCE = 8;

const Answer = z.object({
  results: z.array(
    z.object({
      categories: z.record(z.string(), z.boolean().nullable()).optional(),
      // An answer that has none of the categories would be taken for one that says the text is fine.
      category_scores: z
        .record(z.string(), z.number().min(0).max(1))
        .refine((scores) => Object.keys(scores).some((name) => CATEGORY_OF.has(name))),
    }),
  ),
});
type Result = z.infer<typeof Answer>['results'][number];

/** With these, it is the request that is wrong. */
const REFUSALS = new Set([400, 413, 422]);

/** A remote endpoint failed in a way that may pass. */
class Passing extends Error {
  readonly afterMs: number | null;
  constructor(message: string, afterMs: number | null) {
    super(message);
    this.afterMs = afterMs;
  }
}

/** Says nothing about how the endpoint is: the one who asked wants no answer any more, or what was asked is refused. */
class NotItsFault extends Error {}

/**
 * Asks an OpenAI-compatible `/v1/moderations`. Categories are mapped by the taxonomy, severities come from the scores
 * (`severityOf`) and from what the endpoint itself calls a hit. Redirects are not followed: the key is for this endpoint. Whatever is
 * not a full answer throws: a text nobody judged is not delivered.
 */
export function moderations(options: ModerationsOptions): Filter {
  const { model = 'omni-moderation-latest', failures = 5, openMs = 30_000 } = options;
  const breaker = wrap(
    bulkhead(AT_ONCE, Number.POSITIVE_INFINITY),
    circuitBreaker(
      handleWhen((error) => !(error instanceof NotItsFault)),
      { halfOpenAfter: openMs, breaker: new ConsecutiveBreaker(failures) },
    ),
  );
  return {
    name: 'moderations',
    version: model,
    categories: MODERATION_CATEGORIES,
    exact: false,
    async inspect(segments, { signal }) {
      const asks = segments.flatMap((segment, i) =>
        // OpenAI refuses an empty text.
        segment.text.trim() === '' ? [] : windowsOf(segment.text, WINDOW, OVERLAP).map((span) => ({ i, span })),
      );
      const groups = Array.from({ length: Math.ceil(asks.length / TEXTS) }, (_, g) =>
        asks.slice(g * TEXTS, (g + 1) * TEXTS),
      );
      const results = await Promise.all(
        groups.map((group) =>
          ask(
            options,
            model,
            breaker,
            group.map(({ i, span }) => textOf(segments, i, span)),
            signal,
          ),
        ),
      );
      const all = results.flat();
      return segments.map((segment, i) =>
        findingsOf(
          segment,
          asks.flatMap((one, n) => {
            const result = all[n];
            return one.i === i && result !== undefined ? [{ span: one.span, result }] : [];
          }),
        ),
      );
    },
  };
}

const textOf = (segments: readonly Segment[], i: number, { start, end }: Span) =>
  segments[i]?.text.slice(start, end) ?? '';

/** One finding for each category, the worst; where it stands, if the text was judged in parts. */
function findingsOf(segment: Segment, judged: { span: Span; result: Result }[]): Finding[] {
  const worst = new Map<string, { score: number; severity: Severity; spans: Span[] }>();
  for (const { span, result } of judged) {
    for (const [name, category] of CATEGORY_OF) {
      const hit = result.categories?.[name] === true;
      const score = result.category_scores[name] ?? (hit ? 1 : 0);
      const severity = severityOf(score, hit);
      if (severity === 0) continue;
      const before = worst.get(category) ?? { score: 0, severity: 0, spans: [] };
      const last = before.spans.at(-1);
      if (last !== undefined && span.start <= last.end) last.end = Math.max(last.end, span.end);
      else before.spans.push({ ...span });
      worst.set(category, {
        score: Math.max(before.score, score),
        severity: Math.max(before.severity, severity),
        spans: before.spans,
      });
    }
  }
  return [...worst].map(([category, { score, severity, spans }]) => {
    const whole = spans.length === 1 && spans[0]?.start === 0 && spans[0].end === segment.text.length;
    return { category, severity, score, label: category, spans: whole ? [] : spans };
  });
}

async function ask(
  options: ModerationsOptions,
  model: string,
  breaker: IPolicy,
  texts: string[],
  signal: AbortSignal,
): Promise<Result[]> {
  const pauses = options.pausesMs ?? [200, 1_000, 3_000];
  for (let attempt = 0; ; attempt++) {
    try {
      return await breaker.execute(() => askOnce(options, model, texts, signal));
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof BrokenCircuitError)
        throw new Error('the moderation endpoint has failed too often; it is not asked for a while');
      const pause = pauses[attempt];
      if (!(error instanceof Passing) || pause === undefined) throw error;
      await pauseFor(Math.max(pause, error.afterMs ?? 0), undefined, { signal });
    }
  }
}

async function askOnce(
  { url, key, timeoutMs = 10_000 }: ModerationsOptions,
  model: string,
  input: string[],
  outer: AbortSignal,
): Promise<Result[]> {
  if (outer.aborted) throw new NotItsFault('stopped');
  let response: Awaited<ReturnType<typeof fetch>>;
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) },
      body: JSON.stringify({ model, input }),
      redirect: 'error',
      signal: AbortSignal.any([outer, AbortSignal.timeout(timeoutMs)]),
    });
  } catch (error) {
    if (outer.aborted) throw new NotItsFault('stopped');
    throw new Passing(
      `the moderation endpoint does not answer: ${error instanceof Error ? error.name : 'error'}`,
      null,
    );
  }
  if (!response.ok) {
    // Its words may quote the text.
    await response.body?.cancel();
    const message = `the moderation endpoint answered with status ${response.status}`;
    const seconds = Number(response.headers.get('retry-after'));
    if (response.status === 408 || response.status === 429 || response.status >= 500)
      throw new Passing(message, Number.isFinite(seconds) && seconds > 0 ? Math.min(10_000, seconds * 1_000) : null);
    throw REFUSALS.has(response.status) ? new NotItsFault(message) : new Error(message);
  }
  const parsed = Answer.safeParse(await response.json().catch(() => null));
  if (outer.aborted) throw new NotItsFault('stopped');
  if (!parsed.success || parsed.data.results.length !== input.length)
    throw new Error('the moderation endpoint gave an answer that cannot be read');
  return parsed.data.results;
}
