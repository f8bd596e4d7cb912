import type { ContentFilterResults, Severity as SeverityName } from '@batchmill/contract';
import { metrics, seconds } from '@batchmill/telemetry';
import { z } from 'zod';
import { type LabelledSpan, mask, placeholder } from './mask.ts';
import type { Policy } from './policy/index.ts';
import { actionFor } from './policy/index.ts';
import {
  type Action,
  type AttributedFinding,
  type Filter,
  type FilterContext,
  FilterError,
  type Finding,
  type JudgedSegment,
  type Segment,
} from './port.ts';
import { Category, GRADED, Severity } from './taxonomy.ts';
import { type Unescaped, unescapedViews } from './unescape.ts';

export interface Judge {
  /**
   * Sends every segment through all filters, side by side, each seeing the text as the model wrote it, and does what the
   * policy says about what they find.
   * @returns one judgement per segment, in the same order.
   * @throws FilterError if any filter fails in any way: the whole answer is then not to be delivered.
   */
  judge(segments: readonly Segment[], context: FilterContext): Promise<JudgedSegment[]>;
}

/** A text takes one look, and another to see that nothing is left: masking can bring to light what it stood beside. */
const MOST_LOOKS = 12;

/** Applies a policy with the filters it names; see `Judge`. */
export function createJudge(policy: Policy, filters: readonly Filter[]): Judge {
  const timeoutMs = policy.timeout_seconds * 1_000;
  const exact = filters.filter((filter) => filter.exact);
  const looked = [...new Set(filters.flatMap((filter) => filter.categories))];

  async function look(by: readonly Filter[], segments: readonly Segment[], context: FilterContext): Promise<Found[][]> {
    const all = await inspectAll(by, segments, context, timeoutMs);
    return all.map((found) => found.map((finding) => ({ ...finding, action: actionOf(policy, finding) })));
  }

  async function settle(segment: Segment, found: Found[], context: FilterContext): Promise<JudgedSegment> {
    const findings = [...found];
    let { text } = segment;
    let redacted = false;
    const labels = new Set<string>();
    for (let looks = 1; ; looks++) {
      if (found.some((f) => f.action === 'block')) return judged(segment, '', true, redacted, findings, looked);
      const spans = found.filter((f) => f.action === 'redact').flatMap((f) => spansOf(f, text));
      if (spans.length === 0) break;
      if (looks === MOST_LOOKS) throw new FilterError('mask', 'something is left after many redactions');
      text = mask(text, spans);
      redacted = true;
      for (const { label } of spans) labels.add(label);
      const [again] = await look(exact, [{ ...segment, text }], context);
      found = outsidePlaceholders(again ?? [], text, labels);
      findings.push(...found);
    }
    return judged(segment, text, false, redacted, findings, looked);
  }

  return {
    async judge(segments, context) {
      if (segments.length === 0) return [];
      const found = await look(filters, segments, context);
      return Promise.all(segments.map((segment, i) => settle(segment, found[i] ?? [], context)));
    },
  };
}

/**
 * What the filters find, all side by side, for each segment. `timeoutMs` bounds each filter.
 * @throws FilterError if one of them fails in any way; the others are stopped.
 */
export async function inspectAll(
  filters: readonly Filter[],
  segments: readonly Segment[],
  context: FilterContext,
  timeoutMs: number,
): Promise<AttributedFinding[][]> {
  // By hand, not AbortSignal.any: that lives on until its sources are gone. One for all filters: most answers are short.
  const stop = new AbortController();
  const ending = Promise.withResolvers<Ending>();
  const onAbort = () => ending.resolve({ why: 'was stopped', cause: context.signal.reason });
  if (context.signal.aborted) onAbort();
  context.signal.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => ending.resolve({ why: `took longer than ${timeoutMs} ms` }), timeoutMs);
  try {
    const inner = { ...context, signal: stop.signal };
    const views = filters.some(({ exact }) => exact) ? viewsOf(segments) : [];
    const all = await Promise.all(filters.map((filter) => inspect(filter, segments, views, inner, ending.promise)));
    return segments.map((_, i) => all.flatMap((ofSegment) => ofSegment[i] ?? []));
  } catch (error) {
    // The filter that failed may still be at work, and so may the others.
    stop.abort(error);
    throw error;
  } finally {
    clearTimeout(timer);
    context.signal.removeEventListener('abort', onAbort);
  }
}

/** Why filters are not waited for any more. */
interface Ending {
  why: string;
  cause?: unknown;
}

type Found = AttributedFinding & { action: Action | null };

function actionOf(policy: Policy, finding: AttributedFinding): Action | null {
  return actionFor(policy, finding.category, finding.severity);
}

/** A finding without spans is of the whole text. */
function spansOf(finding: Found, text: string): LabelledSpan[] {
  const spans = finding.spans.length === 0 ? [{ start: 0, end: text.length }] : finding.spans;
  return spans.map((span) => ({ ...span, label: finding.label }));
}

/** What is found in placeholders of ours is no finding: `[card]` may well be a word of somebody's list. */
function outsidePlaceholders(found: Found[], text: string, labels: ReadonlySet<string>): Found[] {
  const ours: { start: number; end: number }[] = [];
  for (const label of labels) {
    const word = placeholder(label);
    for (let at = text.indexOf(word); at !== -1; at = text.indexOf(word, at + word.length))
      ours.push({ start: at, end: at + word.length });
  }
  const inside = (span: { start: number; end: number }) =>
    ours.some((one) => one.start <= span.start && span.end <= one.end);
  return found.flatMap((finding) => {
    if (finding.spans.length === 0) return finding.action === 'redact' ? [] : [finding];
    const spans = finding.spans.filter((span) => !inside(span));
    return spans.length === 0 ? [] : [{ ...finding, spans }];
  });
}

function judged(
  segment: Segment,
  text: string,
  blocked: boolean,
  redacted: boolean,
  findings: readonly Found[],
  looked: readonly Category[],
): JudgedSegment {
  return {
    id: segment.id,
    text,
    blocked,
    redacted,
    results: resultsOf(findings, looked),
    findings: findings.flatMap(({ action, ...finding }) => (action === null ? [] : [{ ...finding, action }])),
  };
}

/** One entry for each category that was looked for. */
function resultsOf(findings: readonly Found[], looked: readonly Category[]): ContentFilterResults {
  const results: ContentFilterResults = {};
  for (const category of looked) {
    const own = findings.filter((finding) => finding.category === category);
    const filtered = own.some((finding) => finding.action === 'block');
    const redacted = own.some((finding) => finding.action === 'redact') ? { redacted: true } : {};
    const worst = own.reduce((most, finding) => Math.max(most, finding.severity), 0);
    results[category] = GRADED.has(category)
      ? { filtered, severity: severityName(worst), ...redacted }
      : { filtered, detected: worst > 0, ...redacted };
  }
  return results;
}

/** Azure's names: 0 and 1 safe, 2 and 3 low, 4 and 5 medium, 6 high. */
export function severityName(severity: Severity): SeverityName {
  return severity >= 6 ? 'high' : severity >= 4 ? 'medium' : severity >= 2 ? 'low' : 'safe';
}

/** Findings come from models and other people's code, so they are checked like anything else from outside. */
function schemaOf(filter: Filter) {
  const own = new Set(filter.categories);
  const finding = z.strictObject({
    category: Category.refine((category) => own.has(category), 'is none of the filter'),
    severity: Severity,
    score: z.number().min(0).max(1),
    label: z.string().regex(/^[a-z0-9_]{1,40}$/),
    spans: z.array(
      z
        .strictObject({ start: z.number().int().min(0), end: z.number().int() })
        .refine(({ start, end }) => start < end, 'is empty'),
    ),
  });
  return z.array(z.array(finding));
}

/** Once for each filter: making a schema takes longer than reading a short answer. */
const schemas = new WeakMap<Filter, ReturnType<typeof schemaOf>>();

function findingsOf(filter: Filter, segments: readonly Segment[], findings: unknown): Finding[][] {
  const schema = schemas.get(filter) ?? schemaOf(filter);
  schemas.set(filter, schema);
  const all = schema.parse(findings);
  if (all.length !== segments.length) throw new Error(`${all.length} lists of findings for ${segments.length} texts`);
  for (const [i, found] of all.entries())
    for (const { spans } of found)
      for (const { end } of spans)
        if (end > (segments[i]?.text.length ?? 0)) throw new Error('a span ends behind the text');
  return all;
}

/** What is read in a segment when its escapes are undone. */
interface View {
  /** Place of the segment it is of. */
  of: number;
  segment: Segment;
  original: Unescaped['original'];
}

function viewsOf(segments: readonly Segment[]): View[] {
  return segments.flatMap(({ id, text }, of) =>
    unescapedViews(text).map((view): View => ({ of, segment: { id, text: view.text, unescaped: true }, ...view })),
  );
}

/** The findings in the segments, and those in views of them where nothing was found in the text as it is. */
function withViews(found: readonly Finding[][], length: number, views: readonly View[]): Finding[][] {
  const all = found.slice(0, length).map((findings) => [...findings]);
  for (const [i, { of, original }] of views.entries()) {
    const known = all[of];
    for (const finding of found[length + i] ?? []) {
      const same =
        known?.filter(({ category, label }) => category === finding.category && label === finding.label) ?? [];
      const there = same.flatMap(({ spans }) => spans);
      const spans = finding.spans
        .map(original)
        .filter((span) => !there.some((one) => one.start < span.end && span.start < one.end));
      const fresh = finding.spans.length === 0 ? !same.some((one) => one.spans.length === 0) : spans.length > 0;
      if (fresh) known?.push({ ...finding, spans });
    }
  }
  return all;
}

async function inspect(
  filter: Filter,
  segments: readonly Segment[],
  views: readonly View[],
  context: FilterContext,
  ending: Promise<Ending>,
): Promise<AttributedFinding[][]> {
  const fail = (why: string, cause?: unknown) => new FilterError(filter.name, `filter '${filter.name}' ${why}`, cause);
  const shown = filter.exact && views.length > 0 ? [...segments, ...views.map(({ segment }) => segment)] : segments;
  const taken = seconds();
  let stopped = false;
  const ended = ending.then(({ why, cause }) => {
    stopped = why === 'was stopped';
    throw fail(why, cause);
  });
  try {
    // In an async function, so that a filter that throws at once is no different from one that rejects.
    const looking = (async () => filter.inspect(shown, context))();
    const found = checked(await Promise.race([ended, looking]), filter, shown, fail);
    const findings = filter.exact ? withViews(found, segments.length, views) : found;
    return findings.map((all) => all.map((f) => ({ ...f, filter: filter.name, version: filter.version })));
  } catch (error) {
    if (!stopped) metrics.filterFailures.inc({ filter: filter.name });
    throw error instanceof FilterError ? error : fail('failed', error);
  } finally {
    metrics.filterSeconds.observe({ filter: filter.name }, taken());
  }
}

function checked(
  findings: unknown,
  filter: Filter,
  segments: readonly Segment[],
  fail: (why: string, cause?: unknown) => FilterError,
): Finding[][] {
  // Nearly always nothing was found, and that is told at a glance.
  if (isNothing(findings, segments.length)) return findings;
  try {
    return findingsOf(filter, segments, findings);
  } catch (error) {
    throw fail('gave findings that cannot be read', error);
  }
}

const ORDER: SeverityName[] = ['safe', 'low', 'medium', 'high'];

/** What several looks at an answer found, category by category: the worst of each. */
export function mergeResults(...all: ContentFilterResults[]): ContentFilterResults {
  const merged: ContentFilterResults = {};
  for (const results of all) {
    for (const [category, found] of Object.entries(results)) {
      // Categories have any name, those of Object.prototype too.
      const before = Object.hasOwn(merged, category) ? merged[category] : undefined;
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

function isNothing(findings: unknown, length: number): findings is [][] {
  return (
    Array.isArray(findings) &&
    findings.length === length &&
    findings.every((found) => Array.isArray(found) && found.length === 0)
  );
}
