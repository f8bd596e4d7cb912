import type { Llama, LlamaContextSequence, LlamaModel, Token } from 'node-llama-cpp';
import { EngineError } from '../port.ts';
import { aborted, type Job, type Slots } from './slots.ts';

/** A model in memory, ready to answer. */
export interface Loaded {
  llama: Llama;
  model: LlamaModel;
  slots: Slots;
  contextTokens: number;
  vocabularySize: number;
  addsBos: boolean;
  /** Bytes of the tokens that stand for a single byte, by token id. */
  byteTokens: ReadonlyMap<number, number>;
  /** Control tokens that are part of an answer's text. */
  writtenOut: ReadonlySet<number>;
}

/** Prompt tokens evaluated between two looks at whether the request was stopped. */
const CHUNK = 512;

/**
 * @param room tokens that the answer takes at least.
 * @throws EngineError `context_overflow` when less of the context would be left for an answer.
 */
export function tokenizePrompt({ model, addsBos, contextTokens }: Loaded, prompt: string, room = 1): Token[] {
  const tokens = model.tokenize(prompt, true);
  const { bos } = model.tokens;
  if (addsBos && bos !== null) tokens.unshift(bos);
  if (tokens.length === 0) throw new EngineError('bad_request', 'The prompt is empty');
  if (tokens.length + room > contextTokens) {
    throw new EngineError(
      'context_overflow',
      `The prompt has ${tokens.length} tokens, and the model's context takes ${contextTokens}, the answer included`,
    );
  }
  return tokens;
}

/**
 * Brings the sequence to the beginning of the prompt that it already holds, and evaluates the rest but for its end, looking
 * in between whether the request was stopped.
 * @returns how many tokens were there already, and those left to evaluate: at least one.
 */
export async function prepare(sequence: LlamaContextSequence, tokens: Token[], job: Job): Promise<Prepared> {
  // The last token is always evaluated anew: its logits make the first token of the answer.
  const wanted = tokens.slice(0, -1);
  const { firstDifferentIndex: shared } = sequence.compareContextTokens(wanted);
  // Layers with a sliding window keep only the last tokens. Going back to where a part of the window is gone already gives
  // wrong answers, and node-llama-cpp (3.21) looks only whether the one token before is there.
  const window = sequence.model.fileInsights.swaSize ?? 0;
  const whole = sequence.stateCellsStartIndex <= Math.max(0, shared - window);
  if (shared < sequence.nextTokenIndex && !whole) await sequence.clearHistory();
  else await sequence.adaptStateToTokens(wanted, false);
  const cached = sequence.nextTokenIndex;
  let at = cached;
  for (; at + CHUNK < tokens.length; at += CHUNK) {
    if (job.aborted) throw aborted();
    await sequence.evaluateWithoutGeneratingNewTokens(tokens.slice(at, at + CHUNK));
  }
  return { cached, rest: tokens.slice(at) };
}

export interface Prepared {
  cached: number;
  rest: Token[];
}
