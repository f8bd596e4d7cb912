import { renderPrompt } from '../chat/index.ts';
import type { ClassifyRequest } from '../port.ts';
import type { Source } from './generate.ts';

/** Probabilities reported. A candidate below the 200th place is as good as impossible: it gets 0. */
const REPORTED = 200;
/** A logit bias that makes a token certain; the probabilities reported are from before it. */
const CERTAIN = 1_000;

/** First tokens of candidate texts; they are the same few for the life of a guard model. */
export type FirstTokens = Map<string, number>;

/** As `Engine.classify`. @throws EngineError */
export async function classify(
  source: Source,
  firstTokens: FirstTokens,
  { messages, candidates, prefix = '' }: ClassifyRequest,
  signal: AbortSignal,
): Promise<Record<string, number>> {
  const { dialect, client, mediaMarker } = source;
  const { prompt, media } = renderPrompt(dialect.template, { messages }, { ...dialect, mediaMarker });
  for (const candidate of candidates) {
    if (firstTokens.has(candidate)) continue;
    const [token] = await client.tokenize(candidate, signal);
    if (token !== undefined) firstTokens.set(candidate, token);
  }
  const text = prompt + prefix;
  const any = firstTokens.get(candidates[0] ?? '');
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
      // Without a printable token the server reports no probabilities.
      ...(any === undefined ? {} : { logit_bias: [[any, CERTAIN]] }),
    },
    media.length > 0,
    signal,
  );
  const reported = completion.completion_probabilities?.[0]?.top_logprobs ?? [];
  const byToken = new Map(reported.map(({ id, logprob }) => [id, Math.exp(logprob)]));
  return Object.fromEntries(
    candidates.map((candidate) => [candidate, byToken.get(firstTokens.get(candidate) ?? -1) ?? 0]),
  );
}
