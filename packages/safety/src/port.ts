/**
 * The filter port: each text of an answer passes every filter, in order, before its line is written. Whatever a filter
 * cannot read is not delivered: an exception, a time-out or a malformed verdict makes the item an error (fail closed).
 */
import type { ContentFilterResults } from '@batchmill/contract';

/** One text of an answer that somebody will read: the content of a choice, its reasoning, the arguments of a tool call. */
export interface Segment {
  /** Where in the answer, for logs: `choices.0.content`. */
  id: string;
  text: string;
}

export interface FilterContext {
  tenant: string;
  batchId: string;
  customId: string;
  signal: AbortSignal;
}

export type Verdict =
  | { action: 'pass'; results: ContentFilterResults }
  /** The text goes on with what was found taken out. */
  | { action: 'redact'; text: string; results: ContentFilterResults }
  /** Nothing of the text is delivered. */
  | { action: 'block'; results: ContentFilterResults };

export interface Filter {
  readonly name: string;
  inspect(segment: Segment, context: FilterContext): Promise<Verdict>;
}

/** A segment after all filters. `text` is empty if blocked. */
export interface JudgedSegment extends Segment {
  blocked: boolean;
  results: ContentFilterResults;
}

/** The filters could not judge an answer, so it is not delivered. Becomes an error line with code `filter_failed`. */
export class FilterError extends Error {
  override readonly name = 'FilterError';
  readonly filter: string;
  constructor(filter: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.filter = filter;
  }
}
