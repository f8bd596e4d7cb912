import type { Problem } from './state.ts';

/** What a command makes of each of its sources. */
export interface Job {
  /** Name of the command. */
  command: string;
  /** Kinds of files taken from folders, by extension, lower case, without the dot. */
  extensions: ReadonlySet<string>;
  /** What those are called: `documents or pictures`. */
  called: string;
  endpoint: string;
  /** Body of every item but for its source. Outputs are made again when this or `endpoint` changes. */
  body: Record<string, unknown>;
  /** The part of a body that names the source: a file uploaded to the service, or an `s3://` URL. */
  sourceOf(at: { fileId: string } | { url: string }): Record<string, unknown>;
  /** How the outputs may be made apart; outputs are made again when it changes. */
  form: string;
  /** Every suffix that an output may have, up to the first slash: a name is free if none of them meets a folder. */
  suffixes: readonly string[];
  /**
   * What the body of an answer becomes.
   * @throws ZodError if it is not what the endpoint answers.
   */
  outputsOf(body: unknown): Outputs;
}

export interface Outputs {
  /** Written at the source's output name with this suffix (`.md`, `.pages/0001.md`). */
  files: { suffix: string; content: string }[];
  /** What is missing or doubtful inside. */
  problems: Problem[];
}
