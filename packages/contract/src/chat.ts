import { z } from 'zod';

/**
 * `POST /v1/chat/completions`, the parameters Batchmill serves. Objects are strict, so a parameter that is not
 * served is refused by name instead of being ignored.
 */
const TextPart = z.strictObject({ type: z.literal('text'), text: z.string() });
const ImagePart = z.strictObject({
  type: z.literal('image_url'),
  image_url: z.strictObject({
    /** `data:image/…;base64,…`, `https://…`, `s3://bucket/key`, or a `file-…` id. */
    url: z.string().min(1),
    detail: z.enum(['auto', 'low', 'high']).optional(),
  }),
});
const AudioPart = z.strictObject({
  type: z.literal('input_audio'),
  input_audio: z.strictObject({
    /** Base64 of the recording, or a `data:`/`https:`/`s3:` URL or a `file-…` id. */
    data: z.string().min(1),
    format: z.enum(['wav', 'mp3', 'flac', 'ogg', 'opus', 'aac', 'm4a', 'webm']).optional(),
  }),
});
/** OpenAI's way to name an uploaded file inside a message; a picture or a recording by its content. */
const FilePart = z.strictObject({ type: z.literal('file'), file: z.strictObject({ file_id: z.string() }) });

export const ContentPart = z.discriminatedUnion('type', [TextPart, ImagePart, AudioPart, FilePart]);
export type ContentPart = z.infer<typeof ContentPart>;

const Content = z.union([z.string(), z.array(ContentPart).min(1)]);
const TextContent = z.union([z.string(), z.array(TextPart).min(1)]);

const ToolCallInput = z.strictObject({
  id: z.string(),
  type: z.literal('function'),
  function: z.strictObject({ name: z.string(), arguments: z.string() }),
});

export const ChatMessage = z.discriminatedUnion('role', [
  z.strictObject({ role: z.enum(['system', 'developer']), content: TextContent, name: z.string().optional() }),
  z.strictObject({ role: z.literal('user'), content: Content, name: z.string().optional() }),
  z.strictObject({
    role: z.literal('assistant'),
    content: TextContent.nullable().optional(),
    reasoning_content: z.string().nullable().optional(),
    refusal: z.string().nullable().optional(),
    name: z.string().optional(),
    tool_calls: z.array(ToolCallInput).optional(),
  }),
  z.strictObject({ role: z.literal('tool'), content: TextContent, tool_call_id: z.string() }),
]);
export type ChatMessage = z.infer<typeof ChatMessage>;

const JsonSchemaObject = z.record(z.string(), z.unknown());

export const Tool = z.strictObject({
  type: z.literal('function'),
  function: z.strictObject({
    name: z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/, 'must be 1 to 64 letters, digits, _ or -'),
    description: z.string().optional(),
    parameters: JsonSchemaObject.optional(),
    strict: z.boolean().nullable().optional(),
  }),
});

export const ResponseFormat = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({
    type: z.literal('json_schema'),
    json_schema: z.strictObject({
      name: z.string(),
      description: z.string().optional(),
      schema: JsonSchemaObject,
      strict: z.boolean().nullable().optional(),
    }),
  }),
]);

export const ChatRequest = z.strictObject({
  model: z.string().min(1),
  messages: z.array(ChatMessage).min(1),
  temperature: z.number().min(0).max(2).nullable().optional(),
  top_p: z.number().gt(0).max(1).nullable().optional(),
  /** Extension: sampling among the k likeliest tokens; 0 = all. */
  top_k: z.number().int().min(0).max(100_000).nullable().optional(),
  /** Extension. */
  min_p: z.number().min(0).max(1).nullable().optional(),
  seed: z.number().int().nullable().optional(),
  presence_penalty: z.number().min(-2).max(2).nullable().optional(),
  frequency_penalty: z.number().min(-2).max(2).nullable().optional(),
  /** Extension: 1 = off. */
  repetition_penalty: z.number().gt(0).max(10).nullable().optional(),
  logit_bias: z.record(z.string().regex(/^\d+$/), z.number().min(-100).max(100)).nullable().optional(),
  max_tokens: z.number().int().min(1).nullable().optional(),
  max_completion_tokens: z.number().int().min(1).nullable().optional(),
  stop: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1).max(4)])
    .nullable()
    .optional(),
  n: z.number().int().min(1).max(8).nullable().optional(),
  logprobs: z.boolean().nullable().optional(),
  top_logprobs: z.number().int().min(0).max(20).nullable().optional(),
  response_format: ResponseFormat.optional(),
  tools: z.array(Tool).max(128).optional(),
  tool_choice: z
    .union([
      z.enum(['none', 'auto', 'required']),
      z.strictObject({ type: z.literal('function'), function: z.strictObject({ name: z.string() }) }),
    ])
    .optional(),
  parallel_tool_calls: z.boolean().optional(),
  /** `none` (the default here) keeps thinking off; anything else switches it on. */
  reasoning_effort: z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh']).nullable().optional(),
  /** Accepted because clients send them; they change nothing. */
  user: z.string().optional(),
  safety_identifier: z.string().optional(),
  store: z.boolean().nullable().optional(),
  metadata: z.record(z.string(), z.string()).nullable().optional(),
  service_tier: z.string().nullable().optional(),
  /** Batches have no stream: only `false` is accepted. */
  stream: z.literal(false).nullable().optional(),
});
export type ChatRequest = z.infer<typeof ChatRequest>;

export type Severity = 'safe' | 'low' | 'medium' | 'high';

/** Azure OpenAI's shape: one entry per category a filter looked at. */
export interface ContentFilterResults {
  [category: string]: { filtered: boolean; severity?: Severity; detected?: boolean; redacted?: boolean };
}

export interface ChatToolCall {
  id: string;
  type: 'function';
  function: { name: string; arguments: string };
}

export interface TokenLogprob {
  token: string;
  logprob: number;
  bytes: number[] | null;
  top_logprobs: { token: string; logprob: number; bytes: number[] | null }[];
}

export interface ChatChoice {
  index: number;
  message: {
    role: 'assistant';
    content: string | null;
    refusal: null;
    reasoning_content?: string;
    tool_calls?: ChatToolCall[];
  };
  finish_reason: 'stop' | 'length' | 'tool_calls' | 'content_filter';
  logprobs: { content: TokenLogprob[] | null; refusal: null } | null;
  content_filter_results?: ContentFilterResults;
}

export interface ChatCompletion {
  id: string;
  object: 'chat.completion';
  created: number;
  model: string;
  choices: ChatChoice[];
  usage: {
    prompt_tokens: number;
    completion_tokens: number;
    total_tokens: number;
    prompt_tokens_details: { cached_tokens: number };
    completion_tokens_details: { reasoning_tokens: number };
  };
}
