import {
  countReasoningTokens,
  type PromptRequest,
  parseAnswer,
  type RenderedPrompt,
  renderPrompt,
} from '../chat/index.ts';
import { EngineError, type GenerateRequest, type Generation, type GenerationLogprob, type Pace } from '../port.ts';
import type { AnswerTokens } from './classify.ts';
import type { Client } from './client.ts';
import { judge, type Said } from './judge.ts';
import type { Dialect, Thinking } from './model.ts';
import { formatSettings, samplingSettings } from './settings.ts';
import { type Completion, type CompletionRequest, inSlot, type Probability, type Prompt } from './wire.ts';

/** What answers come from: one loaded model behind one server. */
export interface Source {
  client: Client;
  dialect: Dialect;
  mediaMarker: string;
  image: boolean;
  audio: boolean;
  contextTokens: number;
  answerTokens: AnswerTokens;
}

/**
 * The request's prompt.
 * @throws EngineError `unsupported`, `context_overflow`, `bad_request` for what the model cannot be given.
 */
export function render(source: Source, request: PromptRequest): RenderedPrompt {
  const { dialect, mediaMarker } = source;
  const rendered = renderPrompt(dialect.template, request, { ...dialect, mediaMarker });
  requireEncoders(source, rendered);
  requireRoom(source, rendered);
  return rendered;
}

/**
 * Answers one request.
 * @param slot in which; null: the server chooses.
 * @throws EngineError as the port says.
 */
export async function generate(
  source: Source,
  request: GenerateRequest,
  rendered: RenderedPrompt,
  slot: number | null,
  signal: AbortSignal,
): Promise<Generation> {
  const run = new Run(source, request, rendered, slot, signal);
  const generation = await generated(source, request, run);
  if (request.judge === undefined || run.said === null) return generation;
  return { ...generation, ...(await judge(source, run.said, request.judge, signal)) };
}

function generated({ dialect }: Source, request: GenerateRequest, run: Run): Promise<Generation> {
  const choice = request.toolChoice ?? 'auto';
  const forced = run.mayCallTools && choice !== 'auto';
  const constrained = request.format.type !== 'text';
  if (dialect.thinking !== null && request.thinking && !forced && (constrained || request.stop.length > 0)) {
    return run.thinkThenAnswer(dialect.thinking);
  }
  if (constrained && !forced && run.mayCallTools && dialect.toolCall !== null) {
    return run.callOrAnswer(dialect.toolCall);
  }
  return run.answer(forced ? 'text' : 'form');
}

function requireEncoders({ image, audio }: Source, { media }: RenderedPrompt): void {
  if (!image && media.some((item) => item.type === 'image')) {
    throw new EngineError('unsupported', 'This model reads no pictures (it was started without a projector for them)');
  }
  if (!audio && media.some((item) => item.type === 'audio')) {
    throw new EngineError(
      'unsupported',
      'This model reads no recordings (it was started without a projector for them)',
    );
  }
}

/** A prompt many times too long is refused here: the server would tokenize all of it first, for minutes if it is long. */
function requireRoom({ contextTokens, dialect }: Source, { prompt }: RenderedPrompt): void {
  const least = Math.ceil(Buffer.byteLength(prompt) / dialect.longestToken);
  if (least <= contextTokens) return;
  throw new EngineError(
    'context_overflow',
    `The prompt has at least ${least} tokens and does not fit the context of ${contextTokens} tokens`,
  );
}

/** One request on its way: a single completion, or two where one cannot do what was asked for. */
class Run {
  readonly mayCallTools: boolean;
  /** The last completion. */
  said: Said | null = null;
  readonly #source: Source;
  readonly #request: GenerateRequest;
  readonly #rendered: RenderedPrompt;
  readonly #signal: AbortSignal;
  readonly #base: Omit<CompletionRequest, 'prompt' | 'n_predict'>;
  readonly #media: string[];
  readonly #slot: number | null;

  constructor(
    source: Source,
    request: GenerateRequest,
    rendered: RenderedPrompt,
    slot: number | null,
    signal: AbortSignal,
  ) {
    this.#slot = slot;
    this.#source = source;
    this.#request = request;
    this.#rendered = rendered;
    this.#signal = signal;
    this.mayCallTools = (request.tools?.length ?? 0) > 0 && request.toolChoice !== 'none';
    this.#media = rendered.media.map(({ data }) =>
      Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64'),
    );
    const { preserved, userTurn } = source.dialect;
    this.#base = {
      ...samplingSettings(request.sampling),
      ...inSlot(slot),
      ...(preserved.length === 0 ? {} : { preserved_tokens: preserved }),
      ...(userTurn === null ? {} : { message_delimiters: [{ role: 'user', delimiter: userTurn }] }),
      // The sampled token itself is always reported, so even 0 alternatives need one.
      ...(request.logprobs === undefined ? {} : { n_probs: Math.max(1, request.logprobs) }),
    };
  }

  /** One completion. */
  async answer(form: 'form' | 'text'): Promise<Generation> {
    const settings = form === 'form' ? formatSettings(this.#request.format) : {};
    const answer = await this.#complete([], { ...settings, ...this.#stop() }, this.#request.maxTokens);
    return this.#generation(answer.content, null, answer);
  }

  /**
   * A schema and stop texts are for the answer, not for the reasoning before it, but llama-server would apply both to
   * all of it. So the model first reasons to the end of its thought, then answers.
   */
  async thinkThenAnswer(thinking: Thinking): Promise<Generation> {
    const opening = this.#rendered.prefill.includes(thinking.opening.trim()) ? '' : thinking.opening;
    const thought = await this.#complete([opening], { stop: [thinking.closing] }, this.#request.maxTokens);
    const raw = opening + thought.content + thinking.closing;
    const left = this.#request.maxTokens === undefined ? undefined : this.#request.maxTokens - thought.tokens_predicted;
    if (thought.stop_type === 'limit' || (left !== undefined && left <= 0)) {
      return this.#generation(raw, thought, null);
    }
    const closed = thought.tokens.at(-1) === thinking.close;
    // A model that ended its turn in thought is made to answer all the same.
    const tokens = thought.stop_type === 'eos' ? thought.tokens.slice(0, -1) : thought.tokens;
    const answer = await this.#complete(
      this.#media.length === 0
        ? [opening, ...tokens, closed ? '' : thinking.closing, thinking.gap]
        : [opening, thought.content, thinking.closing, thinking.gap],
      { ...formatSettings(this.#request.format), ...this.#stop() },
      left,
    );
    return this.#generation(raw + answer.content, thought, answer);
  }

  /** With a schema the model could not call a tool, without one it need not keep to the schema: its first token decides. */
  async callOrAnswer(toolCall: number): Promise<Generation> {
    const first = await this.#complete([], {}, 1);
    return this.answer(first.tokens[0] === toolCall ? 'text' : 'form');
  }

  #stop(): { stop?: string[] } {
    const stop = this.#request.stop.filter((text) => text !== '');
    return stop.length === 0 ? {} : { stop };
  }

  async #complete(
    more: (string | number)[],
    settings: Record<string, unknown>,
    maxTokens?: number,
  ): Promise<Completion> {
    const request = {
      ...this.#base,
      ...settings,
      prompt: this.#prompt(more),
      n_predict: Math.min(maxTokens ?? -1, 0x7fff_ffff),
    };
    const completion = await this.#source.client.complete(request, this.#media.length > 0, this.#signal);
    const prompt = [this.#rendered.prompt, ...more];
    this.said = { prompt, media: this.#media, completion, slot: this.#slot };
    return completion;
  }

  /** The rendered prompt with `more` after it: texts, and without media also token ids. */
  #prompt(more: (string | number)[]): Prompt {
    const parts = [this.#rendered.prompt, ...more].filter((part) => part !== '');
    if (this.#media.length > 0) return { prompt_string: parts.join(''), multimodal_data: this.#media };
    // A list without a number in it would be taken for several prompts.
    return parts.some((part) => typeof part === 'number') ? parts : parts.join('');
  }

  /** @param raw all the model wrote, without what `prefill` holds of it. @param thought the first of two completions. */
  #generation(raw: string, thought: Completion | null, answer: Completion | null): Generation {
    const { tools, logprobs } = this.#request;
    const { controlTokens, thinking } = this.#source.dialect;
    const { prefill } = this.#rendered;
    const parsed = parseAnswer(raw, { prefill, controlTokens, ...(this.mayCallTools ? { tools } : {}) });
    const first = thought ?? answer;
    const length = answer === null || answer.stop_type === 'limit';
    const inThought =
      thought === null &&
      thinking !== null &&
      prefill.lastIndexOf(thinking.opening.trim()) > prefill.lastIndexOf(thinking.closing);
    const reasoningAhead =
      thinking === null || answer === null
        ? 0
        : countReasoningTokens(answer.tokens, thinking.open, thinking.close, inThought);
    return {
      ...parsed,
      finishReason: length ? 'length' : parsed.toolCalls.length > 0 ? 'tool_calls' : 'stop',
      usage: {
        promptTokens: first?.tokens_evaluated ?? 0,
        cachedTokens: first?.['timings/cache_n'] ?? 0,
        completionTokens: (thought?.tokens_predicted ?? 0) + (answer?.tokens_predicted ?? 0),
        reasoningTokens: (thought?.tokens_predicted ?? 0) + reasoningAhead,
      },
      logprobs:
        logprobs === undefined
          ? null
          : answerLogprobs(answer?.completion_probabilities ?? [], logprobs, thinking, inThought),
      ...paceOf([thought, answer].filter((completion) => completion !== null)),
    };
  }
}

/** What the completions of a call took together. Servers that leave a time out, as old ones do, give none. */
function paceOf(completions: readonly Completion[]): { pace?: Pace } {
  const pace: Pace = { slot: 0, prefillTokens: 0, prefillMs: 0, decodeTokens: 0, decodeMs: 0 };
  for (const completion of completions) {
    const { id_slot: slot, 'timings/prompt_ms': prefillMs, 'timings/predicted_ms': decodeMs } = completion;
    if (slot === undefined || prefillMs === undefined || decodeMs === undefined) return {};
    pace.slot = slot;
    pace.prefillTokens += completion['timings/prompt_n'] ?? 0;
    pace.prefillMs += prefillMs;
    pace.decodeTokens += completion['timings/predicted_n'] ?? completion.tokens_predicted;
    pace.decodeMs += decodeMs;
  }
  return completions.length === 0 ? {} : { pace };
}

/** Of the answer, not of the reasoning before it. */
function answerLogprobs(
  probabilities: readonly Probability[],
  count: number,
  thinking: Thinking | null,
  opened: boolean,
): GenerationLogprob[] {
  const result: GenerationLogprob[] = [];
  let inside = opened;
  for (const probability of probabilities) {
    if (probability.id === thinking?.open) inside = true;
    if (!inside) result.push(toLogprob(probability, count));
    if (probability.id === thinking?.close) inside = false;
  }
  return result;
}

/** What never happens has no finite logarithm; OpenAI's API says −9999. */
const NEVER = -9_999;

function toLogprob({ token, logprob, bytes, top_logprobs }: Probability, count: number): GenerationLogprob {
  return {
    token,
    bytes,
    logprob: Math.max(logprob, NEVER),
    top: top_logprobs
      .slice(0, count)
      .map((other) => ({ token: other.token, bytes: other.bytes, logprob: Math.max(other.logprob, NEVER) })),
  };
}
