import type { Endpoint, Usage } from '@batchmill/contract';
import type { GenerateRequest, Generation } from '@batchmill/engine';
import type { JudgedSegment, Segment } from '@batchmill/safety';

/**
 * A task turns the body of one item into engine calls and their answers into a response body. One task per endpoint;
 * `tasks` in `index.ts` is the list.
 */
export interface Task {
  readonly endpoint: Endpoint;

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
  /** One engine call in a slot of its own. Waits for a free slot; the item's time limit is in `signal`. */
  generate(request: GenerateRequest): Promise<Generation>;
  /** Reads an uploaded file of the item's tenant, or `null` if there is none; refuses more than `maxBytes` with a RequestError. */
  readFile(id: string, maxBytes: number): Promise<Uint8Array | null>;
  /** Reads `s3://bucket/key` if the tenant's allow-list has it; otherwise a RequestError. */
  readObject(url: string, maxBytes: number): Promise<Uint8Array>;
  signal: AbortSignal;
}

/** An answer on its way to the filters. */
export interface Draft {
  /** Every text somebody will read. */
  segments: Segment[];
  /** Response body from the judged segments, same order and length. */
  finish(judged: JudgedSegment[]): unknown;
  usage: Usage;
}
