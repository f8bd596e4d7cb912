import {
  countReasoningTokens,
  parseAnswer,
  type RenderedPrompt,
  type RenderOptions,
  rawPrompt,
  renderPrompt,
} from '../chat/index.ts';
import { cores } from '../cores.ts';
import { describeModel } from '../gguf/index.ts';
import { judgeAlone, questionTurn, unsafeShare } from '../judge.ts';
import { type Dialect, readDialect } from '../llama-server/model.ts';
import {
  type Capabilities,
  type ClassifyRequest,
  type Engine,
  type EngineDeath,
  EngineError,
  type GenerateRequest,
  type Generation,
  type GenerationLogprob,
  type JudgeRequest,
} from '../port.ts';
import type { Generate, Generated } from './messages.ts';
import { Child, unexpected } from './process.ts';

export interface NodeLlamaCppOptions {
  /** A GGUF text model. */
  modelPath: string;
  /** The name it is served under. */
  model: string;
  slots: number;
  /** Context of one slot, in tokens. */
  contextTokens: number;
  /** Threads to compute with; the cores this process really has unless given. */
  threads?: number;
  /** Use a GPU where there is one; true unless given. */
  gpu?: boolean;
  /** Stops the loading. */
  signal?: AbortSignal;
}

export interface NodeLlamaCpp extends Engine {
  /** Of the process that holds the model. */
  readonly pid: number;
}

/** Nothing stands in its place here, but it must be something. */
const MEDIA_MARKER = '<__media__>';

/**
 * The engine without llama-server: node-llama-cpp in a child process of ours. Text only.
 * @throws EngineError `model_unusable` when the model cannot be loaded, `aborted`.
 */
export async function startNodeLlamaCpp(options: NodeLlamaCppOptions): Promise<NodeLlamaCpp> {
  const model = describeModel(options.modelPath);
  if (model.isMmproj) {
    throw new EngineError('model_unusable', `${options.modelPath} is a projector (mmproj), not a text model`);
  }
  // A model without a template embeds, but does not converse.
  const dialect = model.chatTemplate === null ? null : readDialect(options.modelPath);
  const contextTokens = Math.min(options.contextTokens, model.contextLength ?? options.contextTokens);
  const child = new Child();
  const stop = () => child.kill();
  options.signal?.addEventListener('abort', stop, { once: true });
  let release: string;
  try {
    if (options.signal?.aborted) stop();
    release = await child.start({
      type: 'start',
      modelPath: model.path,
      slots: options.slots,
      contextTokens,
      threads: options.threads ?? cores(),
      gpu: options.gpu ?? true,
      addsBos: model.addsBos,
      writtenOut: (dialect?.preserved ?? []).flatMap((token) => model.controlTokenIds.get(token) ?? []),
    });
  } catch (error) {
    await child.close();
    if (options.signal?.aborted) throw new EngineError('aborted', 'The loading of the model was stopped', error);
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', stop);
  }
  const { controlTokens, addsBos } = model;
  const raw = { controlTokens, addsBos, bosToken: model.bosToken ?? '', mediaMarker: MEDIA_MARKER };
  return new NodeLlamaCppEngine(child, dialect, raw, release, { ...options, contextTokens });
}

class NodeLlamaCppEngine implements NodeLlamaCpp {
  readonly pid: number;
  readonly capabilities: Capabilities;
  readonly ended: Promise<EngineDeath | null>;
  readonly #child: Child;
  readonly #dialect: Dialect | null;
  /** Of prompts that no template renders. */
  readonly #raw: RenderOptions;

  constructor(
    child: Child,
    dialect: Dialect | null,
    raw: RenderOptions,
    release: string,
    options: NodeLlamaCppOptions,
  ) {
    this.#child = child;
    this.#raw = raw;
    this.#dialect = dialect;
    this.ended = child.ended;
    this.pid = child.pid;
    this.capabilities = {
      engine: `node-llama-cpp (llama.cpp ${release})`,
      model: options.model,
      image: false,
      audio: false,
      slots: options.slots,
      contextTokens: options.contextTokens,
      logprobs: true,
      jsonSchema: true,
      embeddings: true,
    };
  }

  async generate(request: GenerateRequest, signal: AbortSignal): Promise<Generation> {
    const { dialect, rendered } = this.#render(request);
    const { thinking } = dialect;
    const mayCallTools = (request.tools?.length ?? 0) > 0 && request.toolChoice !== 'none';
    const forced = mayCallTools && (request.toolChoice ?? 'auto') !== 'auto';
    const constrained = request.format.type !== 'text' && !forced;

    // A format and stop texts are for the answer, not for the reasoning before it: the thought is opened for the model,
    // and they wait until it is closed.
    const waits = thinking !== null && request.thinking && !forced && (constrained || request.stop.length > 0);
    const opening = waits && !rendered.prefill.includes(thinking.opening.trim()) ? thinking.opening : '';
    const prefill = rendered.prefill + opening;
    const { minP, seed, presencePenalty, frequencyPenalty, repetitionPenalty, logitBias, ...sampling } =
      request.sampling;
    const reply = await this.#child.call(
      (id): Generate => ({
        type: 'generate',
        id,
        prompt: rendered.prompt + opening,
        sampling: { ...sampling, minP, seed, presencePenalty, frequencyPenalty, repetitionPenalty, logitBias },
        maxTokens: request.maxTokens ?? null,
        stop: request.stop,
        format: constrained ? request.format : { type: 'text' },
        thought: waits ? { closing: thinking.closing, gap: thinking.gap } : null,
        toolCall: constrained && mayCallTools && !waits ? dialect.toolCall : null,
        logprobs: request.logprobs ?? null,
        judge:
          request.judge === undefined
            ? null
            : { ...request.judge, turn: questionTurn(dialect, request.judge.question) },
      }),
      signal,
    );
    if (reply.type !== 'generated') throw unexpected(reply);

    const answer = parseAnswer(reply.text, {
      prefill,
      controlTokens: dialect.controlTokens,
      ...(mayCallTools ? { tools: request.tools } : {}),
    });
    const opened =
      thinking !== null && prefill.lastIndexOf(thinking.opening.trim()) > prefill.lastIndexOf(thinking.closing);
    return {
      ...answer,
      finishReason: reply.finish === 'length' ? 'length' : answer.toolCalls.length > 0 ? 'tool_calls' : 'stop',
      usage: {
        promptTokens: reply.promptTokens,
        cachedTokens: reply.cachedTokens,
        completionTokens: reply.tokens.length,
        reasoningTokens:
          thinking === null ? 0 : countReasoningTokens(reply.tokens, thinking.open, thinking.close, opened),
      },
      logprobs: reply.logprobs === null ? null : answerLogprobs(reply.logprobs, reply.tokens, thinking, opened),
      ...(request.judge === undefined ? {} : await this.#verdict(request.judge, reply, signal)),
    };
  }

  async #verdict(
    { question, safe, unsafe }: JudgeRequest,
    { text, judged }: Generated,
    signal: AbortSignal,
  ): Promise<Pick<Generation, 'unsafe' | 'judging'>> {
    if (judged !== null) {
      return {
        unsafe: judged.unsafe,
        judging: { promptTokens: judged.promptTokens, cachedTokens: judged.cachedTokens },
      };
    }
    const worst = await judgeAlone(text, question, this.capabilities.contextTokens, async (messages) => {
      const chances = await this.classify({ messages, candidates: [safe, unsafe] }, signal);
      return unsafeShare(chances[safe] ?? 0, chances[unsafe] ?? 0);
    });
    return { unsafe: worst, judging: { promptTokens: 0, cachedTokens: 0 } };
  }

  async classify(request: ClassifyRequest, signal: AbortSignal): Promise<Record<string, number>> {
    const prompt =
      request.prompt === undefined ? this.#render(request).rendered.prompt : rawPrompt(request.prompt, this.#raw);
    const reply = await this.#child.call(
      (id) => ({
        type: 'classify',
        id,
        prompt: prompt + (request.prefix ?? ''),
        candidates: request.candidates,
      }),
      signal,
    );
    if (reply.type !== 'classified') throw unexpected(reply);
    return reply.probabilities;
  }

  async embed(texts: string[], signal: AbortSignal): Promise<Float32Array[]> {
    const reply = await this.#child.call((id) => ({ type: 'embed', id, texts }), signal);
    if (reply.type !== 'embedded') throw unexpected(reply);
    return reply.vectors;
  }

  async health(): Promise<void> {
    await this.#child.call((id) => ({ type: 'ping', id }), AbortSignal.timeout(10_000));
  }

  close(): Promise<void> {
    return this.#child.close();
  }

  #render(request: Parameters<typeof renderPrompt>[1]): { dialect: Dialect; rendered: RenderedPrompt } {
    const dialect = this.#dialect;
    if (dialect === null) {
      throw new EngineError('unsupported', 'This model holds no conversations: its file has no chat template');
    }
    const rendered = renderPrompt(dialect.template, request, { ...dialect, mediaMarker: MEDIA_MARKER });
    if (rendered.media.length > 0) {
      throw new EngineError(
        'unsupported',
        'This engine (node-llama-cpp) reads no pictures and no recordings: run llama-server',
      );
    }
    return { dialect, rendered };
  }
}

/** Of the answer, not of the reasoning before it. */
function answerLogprobs(
  logprobs: GenerationLogprob[],
  tokens: number[],
  thinking: Dialect['thinking'],
  opened: boolean,
): GenerationLogprob[] {
  let inside = opened;
  return logprobs.filter((_, index) => {
    if (tokens[index] === thinking?.open) inside = true;
    const counts = !inside;
    if (tokens[index] === thinking?.close) inside = false;
    return counts;
  });
}
