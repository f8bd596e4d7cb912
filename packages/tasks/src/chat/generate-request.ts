import type { ChatRequest } from '@batchmill/contract';
import { DEFAULT_SAMPLING, type GenerateRequest, type Message, type Sampling } from '@batchmill/engine';

/** The engine call of choice `index`: choices differ in the seed alone. */
export function generateRequest(request: ChatRequest, messages: Message[], index: number): GenerateRequest {
  const maxTokens = request.max_completion_tokens ?? request.max_tokens;
  return {
    messages,
    ...(request.tools === undefined || request.tools.length === 0 ? {} : tools(request, request.tools)),
    thinking: (request.reasoning_effort ?? 'none') !== 'none',
    sampling: sampling(request, index),
    ...(typeof maxTokens === 'number' ? { maxTokens } : {}),
    stop: typeof request.stop === 'string' ? [request.stop] : (request.stop ?? []),
    format: format(request),
    ...(request.logprobs === true ? { logprobs: request.top_logprobs ?? 0 } : {}),
  };
}

function tools(
  request: ChatRequest,
  given: NonNullable<ChatRequest['tools']>,
): Pick<GenerateRequest, 'tools' | 'toolChoice'> {
  const choice = request.tool_choice ?? 'auto';
  return {
    tools: given.map(({ function: f }) => ({
      name: f.name,
      ...(f.description === undefined ? {} : { description: f.description }),
      ...(f.parameters === undefined ? {} : { parameters: f.parameters }),
    })),
    toolChoice: typeof choice === 'string' ? choice : { name: choice.function.name },
  };
}

/** The model card's defaults, and over them what the request says. */
function sampling(request: ChatRequest, index: number): Sampling {
  return {
    temperature: request.temperature ?? DEFAULT_SAMPLING.temperature,
    topP: request.top_p ?? DEFAULT_SAMPLING.topP,
    topK: request.top_k ?? DEFAULT_SAMPLING.topK,
    ...(typeof request.min_p === 'number' ? { minP: request.min_p } : {}),
    ...(typeof request.seed === 'number' ? { seed: request.seed + index } : {}),
    ...(typeof request.presence_penalty === 'number' ? { presencePenalty: request.presence_penalty } : {}),
    ...(typeof request.frequency_penalty === 'number' ? { frequencyPenalty: request.frequency_penalty } : {}),
    ...(typeof request.repetition_penalty === 'number' ? { repetitionPenalty: request.repetition_penalty } : {}),
    ...(request.logit_bias ? { logitBias: request.logit_bias } : {}),
  };
}

function format({ response_format: wanted }: ChatRequest): GenerateRequest['format'] {
  if (wanted === undefined || wanted.type === 'text') return { type: 'text' };
  if (wanted.type === 'json_object') return { type: 'json_object' };
  return { type: 'json_schema', schema: wanted.json_schema.schema };
}
