import { randomInt } from 'node:crypto';
import {
  type Llama,
  type LlamaContextSequence,
  LlamaGrammarEvaluationState,
  type LlamaModel,
  type SequenceEvaluateOptions,
  type Token,
  TokenBias,
} from 'node-llama-cpp';
import { EngineError } from '../port.ts';
import { grammarFor } from './grammar.ts';
import type { Classify, Generate, Generated } from './messages.ts';
import { aborted, type Job, type Slots } from './slots.ts';

export interface Loaded {
  llama: Llama;
  model: LlamaModel;
  slots: Slots;
  contextTokens: number;
  addsBos: boolean;
  /** Bytes of the tokens that stand for a single byte, by token id. */
  byteTokens: ReadonlyMap<number, number>;
}

/** Prompt tokens evaluated between two looks at whether the request was stopped. */
const CHUNK = 512;
/** Tokens that penalties look back on, as llama-server's `repeat_last_n`. */
const LOOK_BACK = 64;
/** Tokens that may make up one character. */
const LONGEST_CHARACTER = 8;

export async function generate(loaded: Loaded, request: Generate, job: Job): Promise<Generated> {
  const { model, slots, contextTokens } = loaded;
  const tokens = tokenizePrompt(loaded, request.prompt);
  const limit = Math.min(request.maxTokens ?? Infinity, contextTokens - tokens.length);
  const grammar = await grammarFor(loaded.llama, request.format);

  return slots.run(tokens, job, async (sequence) => {
    const cachedTokens = await prepare(sequence, tokens, job);
    const made: Token[] = [];
    const text = new AnswerText(model, request.stop);
    const logprobs: NonNullable<Generated['logprobs']> = [];
    const starts: number[] = [];
    let finish: Generated['finish'] = 'stop';

    let bound = request.formatAfter === null;
    const state = grammar === null ? null : new LlamaGrammarEvaluationState({ model, grammar });
    const options: SequenceEvaluateOptions = {
      ...samplingOptions(model, request.sampling, tokens, made),
      ...(state === null ? {} : { grammarEvaluationState: () => (bound ? state : undefined) }),
    };
    const rest = tokens.slice(cachedTokens + Math.floor((tokens.length - 1 - cachedTokens) / CHUNK) * CHUNK);
    const steps: AsyncIterable<{ token: Token; probabilities?: Map<Token, number> }> =
      request.logprobs === null
        ? sequence.evaluateWithMetadata(rest, {}, options)
        : sequence.evaluateWithMetadata(rest, { probabilities: true }, options);
    for await (const step of steps) {
      if (job.aborted) throw aborted();
      made.push(step.token);
      starts.push(text.length);
      if (request.logprobs !== null && step.probabilities !== undefined) {
        logprobs.push(tokenLogprob(loaded, step.token, step.probabilities, request.logprobs));
      }
      if (step.token === request.formatAfter) bound = true;
      if (text.add(step.token)) break;
      if (made.length >= limit) {
        finish = 'length';
        break;
      }
    }
    const whole = text.end();
    if (text.stopped) finish = 'stop';
    return {
      type: 'generated',
      id: request.id,
      text: whole,
      tokens: made,
      finish,
      promptTokens: tokens.length,
      cachedTokens,
      // What a stop text cut off has no probabilities either.
      logprobs: request.logprobs === null ? null : logprobs.filter((_, index) => (starts[index] ?? 0) < whole.length),
    };
  });
}

/** The probability of each candidate's first token as the next one. */
export async function classify(loaded: Loaded, request: Classify, job: Job): Promise<Record<string, number>> {
  const tokens = tokenizePrompt(loaded, request.prompt);
  const firsts = new Map<Token, string>();
  for (const candidate of request.candidates) {
    const [first] = loaded.model.tokenize(candidate, false, 'trimLeadingSpace');
    const other = first === undefined ? undefined : firsts.get(first);
    if (first === undefined || other !== undefined) {
      const what =
        other === undefined ? `"${candidate}" is empty` : `"${candidate}" and "${other}" begin with the same token`;
      throw new EngineError('bad_request', `The candidates cannot be told apart: ${what}`);
    }
    firsts.set(first, candidate);
  }
  return loaded.slots.run(tokens, job, async (sequence) => {
    const cached = await prepare(sequence, tokens, job);
    const rest = tokens.slice(cached + Math.floor((tokens.length - 1 - cached) / CHUNK) * CHUNK);
    const steps = sequence.evaluateWithMetadata(rest, { probabilities: true }, { temperature: 0, yieldEogToken: true });
    for await (const { probabilities } of steps) {
      return Object.fromEntries([...firsts].map(([token, candidate]) => [candidate, probabilities.get(token) ?? 0]));
    }
    throw new EngineError('engine_failed', 'The model gave no token');
  });
}

function tokenizePrompt({ model, addsBos, contextTokens }: Loaded, prompt: string): Token[] {
  const tokens = model.tokenize(prompt, true);
  const { bos } = model.tokens;
  if (addsBos && bos !== null) tokens.unshift(bos);
  if (tokens.length === 0) throw new EngineError('bad_request', 'The prompt is empty');
  if (tokens.length >= contextTokens) {
    throw new EngineError(
      'context_overflow',
      `The prompt has ${tokens.length} tokens, and the model's context takes ${contextTokens}, the answer included`,
    );
  }
  return tokens;
}

/**
 * Brings the sequence to the beginning of the prompt that it already holds, and evaluates all further whole chunks but the
 * last, looking in between whether the request was stopped.
 * @returns how many tokens were there already.
 */
async function prepare(sequence: LlamaContextSequence, tokens: Token[], job: Job): Promise<number> {
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
  for (let at = cached; at + CHUNK < tokens.length; at += CHUNK) {
    if (job.aborted) throw aborted();
    await sequence.evaluateWithoutGeneratingNewTokens(tokens.slice(at, at + CHUNK));
  }
  return cached;
}

function samplingOptions(
  model: LlamaModel,
  sampling: Generate['sampling'],
  prompt: Token[],
  made: Token[],
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
  if (Object.keys(logitBias).length > 0) {
    const bias = TokenBias.for(model);
    for (const token of model.iterateAllTokens()) {
      const value = logitBias[token];
      if (value !== undefined) bias.set(token, value <= -100 ? 'never' : { logit: value });
    }
    options.tokenBias = bias;
  }
  return options;
}

function tokenLogprob(
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

/** The text of an answer as it grows, up to the first stop text. */
class AnswerText {
  readonly #model: LlamaModel;
  readonly #stop: string[];
  readonly #longest: number;
  /** Tokens whose bytes do not make a character yet. */
  #pending: Token[] = [];
  #last: Token[] = [];
  #text = '';
  stopped = false;

  constructor(model: LlamaModel, stop: string[]) {
    this.#model = model;
    this.#stop = stop.filter((text) => text !== '');
    this.#longest = Math.max(0, ...this.#stop.map((text) => text.length));
  }

  get length(): number {
    return this.#text.length;
  }

  /** @returns whether a stop text is there: the answer is complete. */
  add(token: Token): boolean {
    this.#pending.push(token);
    const piece = this.#model.detokenize(this.#pending, false, this.#last);
    if (piece.endsWith('\uFFFD') && this.#pending.length < LONGEST_CHARACTER) return false;
    this.#take(piece);
    return this.stopped;
  }

  end(): string {
    if (this.#pending.length > 0) this.#take(this.#model.detokenize(this.#pending, false, this.#last));
    return this.#text;
  }

  #take(piece: string): void {
    this.#last = [...this.#last, ...this.#pending].slice(-LONGEST_CHARACTER);
    this.#pending = [];
    if (this.stopped) return;
    const from = Math.max(0, this.#text.length - this.#longest);
    this.#text += piece;
    const found = this.#stop.map((text) => this.#text.indexOf(text, from)).filter((at) => at >= 0);
    if (found.length > 0) {
      this.#text = this.#text.slice(0, Math.min(...found));
      this.stopped = true;
    }
  }
}
