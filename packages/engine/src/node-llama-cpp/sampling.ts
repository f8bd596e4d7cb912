import { randomInt } from 'node:crypto';
import { type SequenceEvaluateOptions, type Token, TokenBias } from 'node-llama-cpp';
import { EngineError } from '../port.ts';
import type { Loaded } from './loaded.ts';
import type { Generate, Generated } from './messages.ts';

/** Tokens that penalties look back on, as llama-server's `repeat_last_n`. */
const LOOK_BACK = 64;

/** @param made the answer's tokens, which grow. @throws EngineError `bad_request` for a token there is not. */
export function samplingOptions(
  loaded: Loaded,
  sampling: Generate['sampling'],
  prompt: readonly Token[],
  made: readonly Token[],
): SequenceEvaluateOptions {
  const { presencePenalty = 0, frequencyPenalty = 0, repetitionPenalty = 1, logitBias = {} } = sampling;
  const options: SequenceEvaluateOptions = {
    temperature: sampling.temperature,
    topP: sampling.topP,
    topK: sampling.topK,
    minP: sampling.minP ?? 0,
    // Without a seed the library takes the clock's seconds: requests that start together would answer alike.
    seed: (sampling.seed ?? randomInt(2 ** 32)) >>> 0,
  };
  if (presencePenalty !== 0 || frequencyPenalty !== 0 || repetitionPenalty !== 1) {
    options.repeatPenalty = {
      punishTokens: () => [...prompt.slice(-LOOK_BACK), ...made].slice(-LOOK_BACK),
      maxPunishTokens: LOOK_BACK,
      penalty: repetitionPenalty,
      frequencyPenalty,
      presencePenalty,
    };
  }
  if (Object.keys(logitBias).length > 0) options.tokenBias = tokenBias(loaded, logitBias);
  return options;
}

function tokenBias({ model, vocabularySize }: Loaded, logitBias: Record<string, number>): TokenBias {
  const bias = TokenBias.for(model);
  // Its own `set` leaves out the tokens that end an answer, which people do forbid.
  const biases: unknown = Reflect.get(bias, '_biases');
  if (!(biases instanceof Map)) throw new EngineError('engine_failed', 'This node-llama-cpp keeps biases elsewhere');
  for (const [key, value] of Object.entries(logitBias)) {
    const token = Number(key);
    if (!Number.isInteger(token) || token < 0 || token >= vocabularySize) {
      throw new EngineError('bad_request', `logit_bias names the token ${key}, which the model does not have`);
    }
    biases.set(token, value <= -100 ? -Infinity : value);
  }
  return bias;
}

/** Of the distribution the token was drawn from: with a temperature of 0 the model's own. */
export function tokenLogprob(
  loaded: Loaded,
  chosen: Token,
  probabilities: Map<Token, number>,
  count: number,
): NonNullable<Generated['logprobs']>[number] {
  const entry = (token: Token, probability: number) => {
    const text = loaded.model.detokenize([token], true);
    const byte = loaded.byteTokens.get(token);
    // A logarithm of nothing has no form in JSON.
    const logprob = Math.max(Math.log(probability), -9999);
    return { token: text, logprob, bytes: byte === undefined ? [...Buffer.from(text)] : [byte] };
  };
  const top = [];
  for (const [token, probability] of probabilities) {
    if (top.length >= count) break;
    top.push(entry(token, probability));
  }
  return { ...entry(chosen, probabilities.get(chosen) ?? 0), top };
}
