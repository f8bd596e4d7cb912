/**
 * The engine port: a process that holds one model and answers requests in a fixed number of slots. Every adapter passes
 * the suite in `conformance.ts`.
 */
export interface Engine {
  readonly capabilities: Capabilities;

  /**
   * Answers one request. Up to `capabilities.slots` calls run side by side; further ones wait inside the engine.
   * Greedy requests (temperature 0) are deterministic.
   * @throws EngineError, always; a plain `Error` is a bug. An aborted signal gives code `aborted`, frees the slot and loses nothing else.
   */
  generate(request: GenerateRequest, signal: AbortSignal): Promise<Generation>;

  /** Probability of each candidate as the beginning of the answer (guard models, classifiers). Sums to ≤ 1. */
  classify?(request: ClassifyRequest, signal: AbortSignal): Promise<Record<string, number>>;

  /** One unit-length vector per text. */
  embed?(texts: string[], signal: AbortSignal): Promise<Float32Array[]>;

  /** Resolves if the engine answers; throws an `EngineError` that says what is wrong otherwise. */
  health(): Promise<void>;

  /** Settles when the engine process has ended: `null` after `close()`, else how it died. Pending calls reject with `engine_died` first. */
  readonly ended: Promise<EngineDeath | null>;

  /** Ends the process and frees its memory. Pending calls reject with `engine_died`. Safe to call twice. */
  close(): Promise<void>;
}

export interface Capabilities {
  /** Adapter and its version, for logs: `llama-server v0.4.0`. */
  engine: string;
  /** The name the model is served under. */
  model: string;
  image: boolean;
  audio: boolean;
  slots: number;
  /** Context of one slot, in tokens. */
  contextTokens: number;
  logprobs: boolean;
  jsonSchema: boolean;
  embeddings: boolean;
}

export interface EngineDeath {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** The last lines the process wrote, for logs. */
  stderr: string;
}

export type MessagePart =
  | { type: 'text'; text: string }
  /** PNG or JPEG bytes, already oriented and bounded by packages/media. */
  | { type: 'image'; data: Uint8Array }
  /** WAV bytes, 16 kHz mono 16-bit PCM. */
  | { type: 'audio'; data: Uint8Array };

export interface Message {
  role: 'system' | 'user' | 'assistant' | 'tool';
  content: MessagePart[];
  /** Of an assistant message. */
  toolCalls?: ToolCall[];
  /** Of a tool message: the call it answers, and its function's name. */
  toolCallId?: string;
  toolName?: string;
}

export interface ToolCall {
  id: string;
  name: string;
  /** JSON text of an object. */
  arguments: string;
}

export interface ToolDefinition {
  name: string;
  description?: string;
  /** JSON schema of the arguments. */
  parameters?: Record<string, unknown>;
}

export interface Sampling {
  temperature: number;
  topP: number;
  topK: number;
  minP?: number;
  seed?: number;
  presencePenalty?: number;
  frequencyPenalty?: number;
  repetitionPenalty?: number;
  /** Token id → bias; −100 forbids the token. */
  logitBias?: Record<string, number>;
}

/** Sampling defaults of Gemma 4's model card. */
export const DEFAULT_SAMPLING: Sampling = { temperature: 1.0, topP: 0.95, topK: 64 };

export interface GenerateRequest {
  messages: Message[];
  tools?: ToolDefinition[];
  toolChoice?: 'none' | 'auto' | 'required' | { name: string };
  /** Off unless asked for. */
  thinking: boolean;
  sampling: Sampling;
  /** Upper bound of generated tokens; without it, what is left of the slot's context. */
  maxTokens?: number;
  stop: string[];
  format: { type: 'text' } | { type: 'json_object' } | { type: 'json_schema'; schema: Record<string, unknown> };
  /** How many alternatives to report per token; absent = no logprobs. 0 to 20. */
  logprobs?: number;
  /** Right after the answer, in its slot, the model is asked about it; see `Generation.unsafe`. The answer is the same without. */
  judge?: JudgeRequest;
}

/** A question to the model about what it has just generated. */
export interface JudgeRequest {
  question: string;
  /** The two verdicts it may give. Their first tokens count, and must differ. */
  safe: string;
  unsafe: string;
}

/** A piece of a prompt: text with the model's control tokens in it, or `text` that somebody wrote, in which they mean nothing. */
export type PromptPart = string | { text: string };

export type ClassifyRequest = {
  /**
   * Texts to score as the beginning of the answer. Of each, as many tokens count as tell it from the others: mostly the
   * first alone. One that is the beginning of another counts where the answer does not go on so.
   */
  candidates: string[];
  /** Text put at the start of the answer before the candidates, e.g. `Safety: `. */
  prefix?: string;
} & (
  | { messages: Message[]; prompt?: never }
  /** The whole prompt, for guard models: theirs are no conversations. A BOS token at its start may be there or not. */
  | { prompt: readonly PromptPart[]; messages?: never }
);

export interface Generation {
  /** The answer without reasoning and tool calls. */
  text: string;
  reasoning: string | null;
  toolCalls: ToolCall[];
  finishReason: 'stop' | 'length' | 'tool_calls';
  usage: { promptTokens: number; cachedTokens: number; completionTokens: number; reasoningTokens: number };
  logprobs: GenerationLogprob[] | null;
  /**
   * With `judge`: the probability of the unsafe verdict among the two, 0 to 1, after the conversation and all that was
   * generated (reasoning, tool calls, what a limit cut off). Where question and all that do not fit the context together,
   * what was generated is judged by itself in pieces, and the worst piece counts.
   */
  unsafe?: number;
  /** How long the slot was at it, as the engine measured it; absent where the engine does not say. */
  pace?: Pace;
  /** With `judge`: tokens of the verdict's prompt, and how many of them were still in the slot's cache. Not part of `usage`. */
  judging?: { promptTokens: number; cachedTokens: number };
}

/** What one call did in its slot. */
export interface Pace {
  slot: number;
  /** Prompt tokens that were computed, not taken from the cache. */
  prefillTokens: number;
  prefillMs: number;
  decodeTokens: number;
  decodeMs: number;
}

export interface GenerationLogprob {
  token: string;
  /** Natural logarithm. */
  logprob: number;
  bytes: number[];
  top: { token: string; logprob: number; bytes: number[] }[];
}

export type EngineErrorCode =
  /** An image or recording the model's encoder refuses. Not retried. */
  | 'bad_media'
  /** Prompt does not fit a slot; `message` has both token counts. Not retried. */
  | 'context_overflow'
  /** Schema, tool or parameter the engine refuses. Not retried. */
  | 'bad_request'
  /** The model lacks what the request needs (vision, audio, embeddings). Not retried. */
  | 'unsupported'
  /** The process died with this request in flight. */
  | 'engine_died'
  /** The caller's signal. */
  | 'aborted'
  /** The engine is up but failed in a way that may pass: retried. */
  | 'engine_failed'
  /** The model file cannot be loaded: missing, truncated, not a GGUF, not enough memory. */
  | 'model_unusable'
  /** There is no engine: no llama-server and no compiler. `message` lists the ways out. */
  | 'engine_missing';

export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly code: EngineErrorCode;
  constructor(code: EngineErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.code = code;
  }
}
