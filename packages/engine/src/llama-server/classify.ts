import type { RenderedPrompt } from '../chat/index.ts';
import type { ClassifyRequest } from '../port.ts';
import type { Source } from './generate.ts';
import { inSlot } from './wire.ts';

/** Probabilities reported. A candidate below the 200th place is as good as impossible: it gets 0. */
const REPORTED = 200;
/** A logit bias that makes a token certain. */
export const CERTAIN = 1_000;

/** First tokens of candidate texts; they are the same few for the life of a guard model. */
export type FirstTokens = Map<string, number>;

/** Undefined for an empty text. @throws EngineError */
export async function firstToken(
  { client, firstTokens }: Source,
  text: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  const known = firstTokens.get(text);
  if (known !== undefined) return known;
  const [token] = await client.tokenize(text, signal);
  if (token !== undefined) firstTokens.set(text, token);
  return token;
}

/** As `Engine.classify`, of a conversation rendered already. @throws EngineError */
export async function classify(
  source: Source,
  { prompt, media }: RenderedPrompt,
  { candidates, prefix = '' }: ClassifyRequest,
  slot: number | null,
  signal: AbortSignal,
): Promise<Record<string, number>> {
  const { client } = source;
  const tokens = new Map<string, number | undefined>();
  for (const candidate of candidates) tokens.set(candidate, await firstToken(source, candidate, signal));
  const text = prompt + prefix;
  const any = tokens.get(candidates[0] ?? '');
  const completion = await client.complete(
    {
      prompt:
        media.length === 0
          ? text
          : { prompt_string: text, multimodal_data: media.map(({ data }) => Buffer.from(data).toString('base64')) },
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
  const byToken = new Map(reported.map(({ id, logprob }) => [id, Math.exp(logprob)]));
  return Object.fromEntries(candidates.map((candidate) => [candidate, byToken.get(tokens.get(candidate) ?? -1) ?? 0]));
}
