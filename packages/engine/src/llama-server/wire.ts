import { z } from 'zod';

/** llama-server's native API (`tools/server/README.md` of llama.cpp), as far as we use it. */

/** Fields asked for in a completion's answer. Without the list it repeats the whole prompt and all settings. */
export const COMPLETION_FIELDS = ['content', 'tokens', 'tokens_predicted', 'tokens_evaluated', 'stop_type'].concat([
  'stopping_word',
  'timings/cache_n',
  'timings/prompt_n',
  'timings/prompt_ms',
  'timings/predicted_n',
  'timings/predicted_ms',
  'id_slot',
  'completion_probabilities',
]);

const alternative = z.object({ id: z.number(), token: z.string(), bytes: z.array(z.number()), logprob: z.number() });

const probability = alternative.extend({ top_logprobs: z.array(alternative) });

export const completionSchema = z.object({
  content: z.string(),
  /** Ids of the generated tokens, that of a stop or end token included. */
  tokens: z.array(z.number()),
  tokens_predicted: z.number(),
  /** Of the whole prompt, what came from the cache included. */
  tokens_evaluated: z.number(),
  stop_type: z.enum(['none', 'eos', 'limit', 'word']),
  stopping_word: z.string(),
  'timings/cache_n': z.number(),
  'timings/prompt_n': z.number().optional(),
  'timings/prompt_ms': z.number().optional(),
  'timings/predicted_n': z.number().optional(),
  'timings/predicted_ms': z.number().optional(),
  id_slot: z.number().optional(),
  completion_probabilities: z.array(probability).optional(),
});
export type Completion = z.infer<typeof completionSchema>;
export type Probability = z.infer<typeof probability>;

/** A completion with `post_sampling_probs`: probabilities of the tokens that could be chosen. */
export const choiceSchema = completionSchema.extend({
  completion_probabilities: z.array(z.object({ top_probs: z.array(z.object({ id: z.number(), prob: z.number() })) })),
});
export type Choice = z.infer<typeof choiceSchema>;

export const errorSchema = z.object({
  error: z.object({
    code: z.number().optional(),
    message: z.string(),
    type: z.string().optional(),
    /** With `exceed_context_size_error`. */
    n_prompt_tokens: z.number().optional(),
    n_ctx: z.number().optional(),
  }),
});

export const propsSchema = z.object({
  default_generation_settings: z.object({ n_ctx: z.number() }),
  total_slots: z.number(),
  modalities: z.object({ vision: z.boolean(), audio: z.boolean() }),
  /** Random, new with every start. Servers before it was random name none. */
  media_marker: z.string().default('<__media__>'),
  build_info: z.string().default(''),
});
export type Props = z.infer<typeof propsSchema>;

export const tokensSchema = z.object({ tokens: z.array(z.number()) });

/** A prompt: text, text with media at its markers, or text followed by token ids. */
export type Prompt = string | { prompt_string: string; multimodal_data: string[] } | (string | number)[];

export interface ChoiceRequest {
  prompt: Prompt;
  [setting: string]: unknown;
}

export interface CompletionRequest extends ChoiceRequest {
  n_predict: number;
}

/** @param slot null: the server chooses. */
export function inSlot(slot: number | null): { id_slot?: number } {
  return slot === null ? {} : { id_slot: slot };
}
