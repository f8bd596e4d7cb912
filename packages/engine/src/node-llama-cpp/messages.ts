import { z } from 'zod';

/** What the adapter and its child process say to each other. Both check what they receive against these. */

const sampling = z.object({
  temperature: z.number(),
  topP: z.number(),
  topK: z.number(),
  minP: z.number().optional(),
  seed: z.number().optional(),
  presencePenalty: z.number().optional(),
  frequencyPenalty: z.number().optional(),
  repetitionPenalty: z.number().optional(),
  logitBias: z.record(z.string(), z.number()).optional(),
});

const format = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text') }),
  z.object({ type: z.literal('json_object') }),
  z.object({ type: z.literal('json_schema'), schema: z.record(z.string(), z.unknown()) }),
]);

export const startSchema = z.object({
  type: z.literal('start'),
  modelPath: z.string(),
  slots: z.number().int().min(1),
  contextTokens: z.number().int().min(1),
  threads: z.number().int().min(1),
  gpu: z.boolean(),
  addsBos: z.boolean(),
  /** Ids of control tokens that are part of an answer's text: the markers of thoughts and tool calls. */
  writtenOut: z.array(z.number().int()),
});
export type Start = z.infer<typeof startSchema>;

const id = z.number().int();

export const generateSchema = z.object({
  type: z.literal('generate'),
  id,
  prompt: z.string(),
  sampling,
  /** Null: what is left of the slot's context. */
  maxTokens: z.number().int().nullable(),
  stop: z.array(z.string()),
  format,
  /**
   * The prompt ends within a thought that `closing` closes; `gap` stands between it and the answer. Format and stop texts
   * are for the answer alone. Null: there is no thought, or they are for all of it.
   */
  thought: z.object({ closing: z.string(), gap: z.string() }).nullable(),
  /** The token a tool call begins with: an answer that begins with it need not keep to the format. */
  toolCall: z.number().int().nullable(),
  logprobs: z.number().int().nullable(),
  /** What to ask about the answer, and the two verdicts. `turn` goes after it, as text with control tokens. */
  judge: z.object({ turn: z.string(), safe: z.string(), unsafe: z.string() }).nullable(),
});
export type Generate = z.infer<typeof generateSchema>;

export const classifySchema = z.object({
  type: z.literal('classify'),
  id,
  prompt: z.string(),
  candidates: z.array(z.string()),
});
export type Classify = z.infer<typeof classifySchema>;

export const embedSchema = z.object({ type: z.literal('embed'), id, texts: z.array(z.string()) });
export type Embed = z.infer<typeof embedSchema>;

export const requestSchema = z.discriminatedUnion('type', [
  startSchema,
  generateSchema,
  classifySchema,
  embedSchema,
  z.object({ type: z.literal('ping'), id }),
  z.object({ type: z.literal('abort'), id }),
]);
export type Request = z.infer<typeof requestSchema>;

const alternative = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.number()) });

/** Null: not asked, or no room for the question. */
const judged = z.object({ unsafe: z.number(), promptTokens: z.number(), cachedTokens: z.number() }).nullable();
export type Judged = z.infer<typeof judged>;

export const generatedSchema = z.object({
  type: z.literal('generated'),
  id,
  /** Without the token that ended it. */
  text: z.string(),
  tokens: z.array(z.number()),
  finish: z.enum(['stop', 'length']),
  promptTokens: z.number(),
  cachedTokens: z.number(),
  logprobs: z.array(alternative.extend({ top: z.array(alternative) })).nullable(),
  judged,
});
export type Generated = z.infer<typeof generatedSchema>;

export const replySchema = z.discriminatedUnion('type', [
  /** With the release of llama.cpp in use. */
  z.object({ type: z.literal('ready'), release: z.string() }),
  generatedSchema,
  z.object({ type: z.literal('classified'), id, probabilities: z.record(z.string(), z.number()) }),
  z.object({
    type: z.literal('embedded'),
    id,
    vectors: z.array(z.custom<Float32Array>((value) => value instanceof Float32Array)),
  }),
  z.object({ type: z.literal('pong'), id }),
  /** Without an id: the model cannot be loaded. */
  z.object({
    type: z.literal('failed'),
    id: id.nullable(),
    code: z.enum(['context_overflow', 'bad_request', 'unsupported', 'aborted', 'engine_failed', 'model_unusable']),
    message: z.string(),
  }),
]);
export type Reply = z.infer<typeof replySchema>;
