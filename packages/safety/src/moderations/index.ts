import { BrokenCircuitError, ConsecutiveBreaker, circuitBreaker, handleWhen, type IPolicy, wrap } from 'cockatiel';
import { fetch } from 'undici';
import { z } from 'zod';
import type { Filter, Finding, Segment, Span } from '../port.ts';
import { windowsOf } from '../windows.ts';
import { CATEGORY_OF, MODERATION_CATEGORIES, severityOf } from './categories.ts';

export { CATEGORY_OF, MODERATION_CATEGORIES, severityOf } from './categories.ts';
export { moderate } from './moderate.ts';
export { moderationResult } from './result.ts';

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

const Answer = z.object({
  results: z.array(z.object({ category_scores: z.record(z.string(), z.number().min(0).max(1)) })),
});

/** A remote endpoint failed in a way that may pass. */
class Passing extends Error {
  readonly afterMs: number | null;
  constructor(message: string, afterMs: number | null) {
    super(message);
    this.afterMs = afterMs;
  }
}

/**
 * Asks an OpenAI-compatible `/v1/moderations`. Categories are mapped by the taxonomy, severities come from the scores
 * (`severityOf`). Whatever is not a full answer throws: a text nobody judged is not delivered.
 */
export function moderations(options: ModerationsOptions): Filter {
  const { model = 'omni-moderation-latest', failures = 5, openMs = 30_000 } = options;
  const breaker = wrap(
    circuitBreaker(
      handleWhen(() => true),
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
        windowsOf(segment.text, WINDOW, OVERLAP).map((span) => ({ i, span })),
      );
      const groups = Array.from({ length: Math.ceil(asks.length / TEXTS) }, (_, g) =>
        asks.slice(g * TEXTS, (g + 1) * TEXTS),
      );
      const scores = await Promise.all(
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
      const all = scores.flat();
      return segments.map((segment, i) =>
        findingsOf(
          segment,
          asks.flatMap((one, n) => (one.i === i ? [{ span: one.span, scores: all[n] ?? {} }] : [])),
        ),
      );
    },
  };
}

const textOf = (segments: readonly Segment[], i: number, { start, end }: Span) =>
  segments[i]?.text.slice(start, end) ?? '';

/** One finding for each category, with the worst score; where it stands, if the text was judged in parts. */
function findingsOf(segment: Segment, judged: { span: Span; scores: Record<string, number> }[]): Finding[] {
  const best = new Map<string, { score: number; spans: Span[] }>();
  for (const { span, scores } of judged) {
    for (const [name, score] of Object.entries(scores)) {
      const category = CATEGORY_OF.get(name);
      if (category === undefined || severityOf(score) === 0) continue;
      const before = best.get(category) ?? { score: 0, spans: [] };
      const last = before.spans.at(-1);
      if (last !== undefined && span.start <= last.end) last.end = Math.max(last.end, span.end);
      else before.spans.push({ ...span });
      best.set(category, { score: Math.max(before.score, score), spans: before.spans });
    }
  }
  return [...best].map(([category, { score, spans }]) => {
    const whole = spans.length === 1 && spans[0]?.start === 0 && spans[0].end === segment.text.length;
    return { category, severity: severityOf(score), score, label: category, spans: whole ? [] : spans };
  });
}

async function ask(
  options: ModerationsOptions,
  model: string,
  breaker: IPolicy,
  texts: string[],
  signal: AbortSignal,
): Promise<Record<string, number>[]> {
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
      await new Promise((resolve) => setTimeout(resolve, Math.max(pause, error.afterMs ?? 0)));
      signal.throwIfAborted();
    }
  }
}

async function askOnce(
  { url, key, timeoutMs = 10_000 }: ModerationsOptions,
  model: string,
  input: string[],
  outer: AbortSignal,
): Promise<Record<string, number>[]> {
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
    outer.throwIfAborted();
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
    throw new Error(message);
  }
  const parsed = Answer.safeParse(await response.json().catch(() => null));
  if (!parsed.success || parsed.data.results.length !== input.length)
    throw new Error('the moderation endpoint gave an answer that cannot be read');
  return parsed.data.results.map((result) => result.category_scores);
}
