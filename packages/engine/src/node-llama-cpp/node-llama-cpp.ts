import { chatTemplate, countReasoningTokens, parseAnswer, type RenderedPrompt, renderPrompt } from '../chat/index.ts';
import { cores } from '../cores.ts';
import { describeModel, type ModelDescription } from '../gguf/index.ts';
import {
  type Capabilities,
  type ClassifyRequest,
  type Engine,
  type EngineDeath,
  EngineError,
  type GenerateRequest,
  type Generation,
} from '../port.ts';
import type { Generate } from './messages.ts';
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

/**
 * The engine without llama-server: node-llama-cpp in a child process of ours. Text only.
 * @throws EngineError `model_unusable` when the model cannot be loaded, `aborted`.
 */
export async function startNodeLlamaCpp(options: NodeLlamaCppOptions): Promise<NodeLlamaCpp> {
  const model = describeModel(options.modelPath);
  if (model.isMmproj) {
    throw new EngineError('model_unusable', `${options.modelPath} is a projector (mmproj), not a text model`);
  }
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
    });
  } catch (error) {
    await child.close();
    if (options.signal?.aborted) throw new EngineError('aborted', 'The loading of the model was stopped', error);
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', stop);
  }
  return new NodeLlamaCppEngine(child, model, release, { ...options, contextTokens });
}

class NodeLlamaCppEngine implements NodeLlamaCpp {
  readonly pid: number;
  readonly capabilities: Capabilities;
  readonly ended: Promise<EngineDeath | null>;
  readonly #child: Child;
  readonly #model: ModelDescription;

  constructor(child: Child, model: ModelDescription, release: string, options: NodeLlamaCppOptions) {
    this.#child = child;
    this.#model = model;
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
    const rendered = this.#render(request);
    const { controlTokenIds, controlTokens } = this.#model;
    const { thinking } = chatTemplate(this.#model.chatTemplate ?? '');
    const closeId = controlTokenIds.get(thinking.close) ?? null;

    // An answer in a format thinks first if it is to think: the thought is opened for it, and the format waits until it
    // is closed.
    const thinksFirst =
      request.thinking && request.format.type !== 'text' && closeId !== null && rendered.prefill === '';
    const opening = !thinksFirst ? '' : thinking.open === '<|channel>' ? '<|channel>thought\n' : '<think>\n';
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
        format: request.format,
        formatAfter: thinksFirst ? closeId : null,
        logprobs: request.logprobs ?? null,
      }),
      signal,
    );
    if (reply.type !== 'generated') throw unexpected(reply);

    const tools = request.toolChoice === 'none' ? undefined : request.tools;
    const answer = parseAnswer(reply.text, { prefill, tools, controlTokens });
    const openId = controlTokenIds.get(thinking.open) ?? -1;
    const opened = prefill.includes(thinking.open) && !prefill.includes(thinking.close);
    return {
      ...answer,
      finishReason: answer.toolCalls.length > 0 ? 'tool_calls' : reply.finish,
      usage: {
        promptTokens: reply.promptTokens,
        cachedTokens: reply.cachedTokens,
        completionTokens: reply.tokens.length,
        reasoningTokens: closeId === null ? 0 : countReasoningTokens(reply.tokens, openId, closeId, opened),
      },
      logprobs: reply.logprobs,
    };
  }

  async classify(request: ClassifyRequest, signal: AbortSignal): Promise<Record<string, number>> {
    const rendered = this.#render(request);
    const reply = await this.#child.call(
      (id) => ({
        type: 'classify',
        id,
        prompt: rendered.prompt + (request.prefix ?? ''),
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

  #render(request: Parameters<typeof renderPrompt>[1]): RenderedPrompt {
    const { chatTemplate: template, bosToken, eosToken, addsBos, controlTokens } = this.#model;
    if (template === null) {
      throw new EngineError('unsupported', 'This model holds no conversations: its file has no chat template');
    }
    const rendered = renderPrompt(template, request, {
      ...(bosToken === null ? {} : { bosToken }),
      ...(eosToken === null ? {} : { eosToken }),
      addsBos,
      mediaMarker: '<__media__>',
      controlTokens,
    });
    if (rendered.media.length > 0) {
      throw new EngineError(
        'unsupported',
        'This engine (node-llama-cpp) reads no images and no audio: run llama-server',
      );
    }
    return rendered;
  }
}
