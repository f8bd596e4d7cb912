import type { Endpoint, ModerationResult, Usage } from '@batchmill/contract';
import type { GenerateRequest, Generation } from '@batchmill/engine';
import type { JudgedSegment, Segment } from '@batchmill/safety';

/**
 * A task turns the body of one item into engine calls and their answers into a response body. One task per endpoint;
 * `tasks` in `index.ts` is the list.
 */
export interface Task {
  readonly endpoint: Endpoint;
  /** Its items are done in pieces (`TaskContext.piece`), and may be large and take hours. */
  readonly inPieces: boolean;

  /**
   * Runs one item up to, not including, the filters.
   * @throws RequestError (contract) for what the item's author must change: its status, code and param become the line.
   * @throws EngineError (engine) for what the engine could not do; the worker decides whether to try again.
   */
  run(body: Record<string, unknown>, context: TaskContext): Promise<Draft>;
}

export interface TaskContext {
  tenant: string;
  /** Names under which the held model may be asked for, first its own; `default` is always accepted. */
  models: readonly string[];
  /** What the held model can do. */
  image: boolean;
  audio: boolean;
  /** One engine call in a slot of its own. Waits for a free slot. `signal`: the item's unless a piece has its own. */
  generate(request: GenerateRequest, signal?: AbortSignal): Promise<Generation>;
  /** Judges texts by the filters of the batch's policy, but for the model's judgement of itself. @throws FilterError */
  moderate(texts: readonly string[]): Promise<{ model: string; results: ModerationResult[] }>;
  /** An uploaded file of the item's tenant, or `null` if there is none. */
  openFile(id: string): Promise<Source | null>;
  /** `s3://bucket/key` if the tenant's allow-list has it. @throws RequestError otherwise, or if there is none. */
  openObject(url: string): Promise<Source>;
  /** A folder on disk of this item's own, for what is too large for memory. It is removed when the item has ended. */
  folder(): Promise<string>;
  /**
   * One piece of an item that is done in pieces: a page of a document, a chunk of a recording. Waits for a turn, then does
   * `work` within the item's time limit, which starts anew with each piece. What comes out (JSON) is kept in the bucket: if
   * the worker dies, the item runs again and each piece that was kept is given back through `read` instead of being
   * done. `name` says which piece it is, the same in every run: letters, digits and `-`.
   * Whatever `work` throws rejects and is not kept: a failure that belongs in the answer is a value.
   */
  piece<T>(name: string, piece: Piece<T>): Promise<T>;
  /** Says how much the item has in all, counted as `Piece.units`, as soon as that is known or can be guessed. The first time counts. */
  length(units: number): void;
  /** Waits for something with a time limit of its own, such as a decoder others use too: it does not count as the item's. */
  untimed<T>(work: () => Promise<T>): Promise<T>;
  /** How many pieces of one item are worth having under way at once: more would only hold memory. */
  pieces: number;
  signal: AbortSignal;
}

/** Bytes that are read when wanted. `bytes` is the size, known before. */
export interface Source {
  bytes: number;
  read(): Promise<AsyncIterable<Uint8Array>>;
}

export interface Piece<T> {
  /** The value as it was kept. Throws if it cannot be read; then the work is done again. */
  read(kept: unknown): T;
  /** `signal` fires with the item's, or when the piece took too long. */
  work(signal: AbortSignal): Promise<T>;
  /** Every text of the value that an answer may show: a piece of which the filters would take something out is not kept. */
  texts(value: T): string[];
  /** What the value counts in `progress` of the batch: 1 for a page, seconds for a chunk of a recording. */
  units(value: T): number;
}

/** An answer on its way to the filters. */
export interface Draft {
  /** Every text somebody will read. */
  segments: Segment[];
  /** Response body from the judged segments, same order and length. */
  finish(judged: JudgedSegment[]): unknown;
  usage: Usage;
}
