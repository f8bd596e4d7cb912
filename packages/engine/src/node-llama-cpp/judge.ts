import type { LlamaContextSequence, Token } from 'node-llama-cpp';
import { unsafeShare } from '../judge.ts';
import { distinctFirsts, nextToken } from './classify.ts';
import { type Loaded, prepare } from './loaded.ts';
import type { Generate, Judged } from './messages.ts';
import type { Job } from './slots.ts';

/**
 * Asks the model about what it has just generated, in the sequence that holds it: only the question is computed.
 * @param said prompt and answer, without the token that ended it.
 * @returns null when there is no room for the question.
 */
export async function judge(
  loaded: Loaded,
  sequence: LlamaContextSequence,
  said: Token[],
  { turn, safe, unsafe }: NonNullable<Generate['judge']>,
  job: Job,
): Promise<Judged> {
  const tokens = [...said, ...loaded.model.tokenize(turn, true)];
  if (tokens.length >= loaded.contextTokens) return null;
  const firsts = distinctFirsts(loaded, [safe, unsafe]);
  const { cached, rest } = await prepare(sequence, tokens, job);
  const chances = await nextToken(sequence, rest, firsts);
  return {
    unsafe: unsafeShare(chances[safe] ?? 0, chances[unsafe] ?? 0),
    promptTokens: tokens.length,
    cachedTokens: cached,
  };
}
