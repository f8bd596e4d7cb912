import { candidateProbabilities } from '../candidates.ts';
import type { RenderedPrompt } from '../chat/index.ts';
import { type ClassifyRequest, EngineError } from '../port.ts';
import type { Source } from './generate.ts';
import { inSlot, type Prompt } from './wire.ts';

/** Probabilities reported. A token below the 200th place is as good as impossible: it gets 0. */
const REPORTED = 200;
/** A logit bias that makes a token certain. */
export const CERTAIN = 1_000;

/** Tokens of candidate texts; they are the same few for the life of a guard model. */
export type AnswerTokens = Map<string, readonly number[]>;

async function tokenizeAnswer(
  { client, answerTokens }: Source,
  text: string,
  signal: AbortSignal,
): Promise<readonly number[]> {
  const known = answerTokens.get(text);
  if (known !== undefined) return known;
  const tokens = await client.tokenize(text, signal);
  answerTokens.set(text, tokens);
  return tokens;
}

/** Undefined for an empty text. @throws EngineError */
export async function firstToken(source: Source, text: string, signal: AbortSignal): Promise<number | undefined> {
  return (await tokenizeAnswer(source, text, signal))[0];
}

/** As `Engine.classify`, of a conversation rendered already. @throws EngineError */
export async function classify(
  source: Source,
  { prompt, media }: RenderedPrompt,
  { candidates, prefix = '' }: ClassifyRequest,
  slot: number | null,
  signal: AbortSignal,
): Promise<Record<string, number>> {
  const tokens = new Map<string, readonly number[]>();
  for (const candidate of candidates) tokens.set(candidate, await tokenizeAnswer(source, candidate, signal));
  const any = [...tokens.values()][0]?.[0];
  return candidateProbabilities(tokens, async (beginning) => {
    if (beginning.length > 0 && media.length > 0) {
      throw new EngineError('bad_request', 'With pictures or recordings, candidates must not begin alike');
    }
    const text = prompt + prefix;
    const asked: Prompt =
      media.length > 0
        ? { prompt_string: text, multimodal_data: media.map(({ data }) => Buffer.from(data).toString('base64')) }
        : // A list of one text would be a list of prompts.
          beginning.length > 0
          ? [text, ...beginning]
          : text;
    const completion = await source.client.complete(
      {
        prompt: asked,
        n_predict: 1,
        n_probs: REPORTED,
        temperature: 0,
        top_k: 1,
        samplers: ['top_k'],
        ...inSlot(slot),
        // Without a printable token the server reports no probabilities. Those reported are from before the bias.
        ...(any === undefined ? {} : { logit_bias: [[any, CERTAIN]] }),
      },
      media.length > 0,
      signal,
    );
    const reported = completion.completion_probabilities?.[0]?.top_logprobs ?? [];
    return new Map(reported.map(({ id, logprob }) => [id, Math.exp(logprob)]));
  });
}
