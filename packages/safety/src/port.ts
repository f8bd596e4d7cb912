/**
 * The filter port. Every text of an answer is looked at by every filter of the policy before its line is written. A filter
 * says what it found; what happens then, the policy decides. Whatever a filter cannot read is not delivered: an exception,
 * a time-out or findings that make no sense withhold the answer (fail closed).
 */
import type { ContentFilterResults } from '@batchmill/contract';
import type { Category, Severity } from './taxonomy.ts';

/** One text of an answer that somebody will read: the content of a choice, its reasoning, the arguments of a tool call. */
export interface Segment {
  /** Where in the answer, for logs: `choices.0.content`. */
  id: string;
  text: string;
  /**
   * It is not the text itself but what is read in it when its escapes are undone (`\u0078` as `x`). Filters that compute look for
   * things there too; a form it need not have.
   */
  unescaped?: true;
}

/** A place in a segment's text: from `start` up to, not including, `end`, in UTF-16 units as JavaScript counts. */
export interface Span {
  start: number;
  end: number;
}

export interface Finding {
  category: Category;
  severity: Severity;
  /** How sure the filter is, 0 to 1. Filters that compute say 1. */
  score: number;
  /** What exactly it is, for placeholders and audits: `email`, `aws_access_key`. `[a-z0-9_]{1,40}`. */
  label: string;
  /** Where it stands, in order and without overlaps; empty: the text as a whole. */
  spans: readonly Span[];
}

/** One message of the conversation that the answer belongs to, as text: pictures and recordings are left out. */
export interface Asked {
  role: 'system' | 'user' | 'assistant' | 'tool';
  text: string;
}

/** What the held model itself said of one of its generations, asked in the same slot right after it. */
export interface SelfVerdict {
  /** The generated text it is about: answer, reasoning and tool calls. */
  text: string;
  /** Probability of "unsafe" among the two verdicts, 0 to 1. */
  unsafe: number;
}

export interface FilterContext {
  tenant: string;
  batchId: string;
  customId: string;
  /** The conversation, for filters that judge an answer by what was asked. May be empty. */
  asked: readonly Asked[];
  /** Of the item's generations, where the policy has the model judge itself. */
  selfVerdicts: readonly SelfVerdict[];
  signal: AbortSignal;
}

export interface Filter {
  /** `personal_data`, `lexicon`, … as in the policy file. */
  readonly name: string;
  /** Changes whenever the same text may get other findings. */
  readonly version: string;
  /** What it looks for. It may find nothing else. */
  readonly categories: readonly Category[];
  /**
   * Computes alone, in linear time, and says where: it looks again after something was masked, because masking can bring
   * to light what it stood beside.
   */
  readonly exact: boolean;
  /** Why it cannot judge anything here, where that is known before: then nothing need be made for it to judge. */
  readonly unavailable?: FilterError;
  /** Findings of each segment, in the order of the segments. Many calls may be under way at once. */
  inspect(segments: readonly Segment[], context: FilterContext): Promise<Finding[][]>;
  /** Frees what it holds (a model, connections). */
  close?(): Promise<void>;
}

/** A finding, and who made it. */
export interface AttributedFinding extends Finding {
  filter: string;
  version: string;
}

export const ACTIONS = ['annotate', 'redact', 'block'] as const;
export type Action = (typeof ACTIONS)[number];

/** A segment after all filters. `text` is empty if blocked. */
export interface JudgedSegment extends Segment {
  blocked: boolean;
  /** Something was masked. */
  redacted: boolean;
  results: ContentFilterResults;
  /** What was found in the text as it was, and what was done about it. */
  findings: readonly (AttributedFinding & { action: Action })[];
}

/** The filters could not judge an answer, so it is not delivered. Becomes an error line with code `content_filter_error`. */
export class FilterError extends Error {
  override readonly name = 'FilterError';
  readonly filter: string;
  constructor(filter: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.filter = filter;
  }
}
