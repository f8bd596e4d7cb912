import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { rawPrompt } from '../chat/index.ts';
import { cores } from '../cores.ts';
import { describeModel } from '../gguf/index.ts';
import {
  type Capabilities,
  type ClassifyRequest,
  type Engine,
  type EngineDeath,
  EngineError,
  type GenerateRequest,
} from '../port.ts';
import { Slots } from '../slots.ts';
import { classify } from './classify.ts';
import { Client } from './client.ts';
import { generate, render, type Source } from './generate.ts';
import { readDialect } from './model.ts';
import { ServerProcess } from './process.ts';

export interface LlamaServerOptions {
  /** The executable, as `ensureLlamaServer` finds it. */
  program: string;
  /** Its version, for the name in `capabilities`. */
  version?: string;
  /** The text model's GGUF. */
  model: string;
  /** The projector's GGUF: without it no pictures and recordings. */
  mmproj?: string;
  /** The name the model is served under. */
  name: string;
  slots: number;
  /** Context of each slot, in tokens. No more than the model was trained for is given. */
  contextTokens: number;
  /** Threads to compute with; as many as there are cores unless given. */
  threads?: number;
  /** Layers on the GPU; as many as fit unless given. */
  gpuLayers?: number;
  /** Bounds of the tokens one picture becomes; the model's own unless given. */
  imageMinTokens?: number;
  imageMaxTokens?: number;
  /** Called while the model is loaded, with a sentence for the log. */
  onProgress?: (message: string) => void;
  /** Gives up loading. */
  signal?: AbortSignal;
}

/** An engine whose process can be named, for those who watch or test it. */
export type LlamaServerEngine = Engine & { readonly pid: number };

/**
 * Starts a llama-server with a model and waits until it answers. It listens on a socket in a folder that only this user
 * may enter; it dies with this process.
 * @throws EngineError `model_unusable` when the model cannot be loaded, `aborted` when the signal fires meanwhile.
 */
export async function startLlamaServer(options: LlamaServerOptions): Promise<LlamaServerEngine> {
  const dialect = readDialect(options.model);
  if (options.mmproj !== undefined) requireProjector(options.mmproj);
  const folder = await mkdtemp(join(socketHome(), 'batchmill-llama-'));
  const socket = join(folder, 'llama.sock');
  let server: ServerProcess | null = null;
  const client = new Client(socket, options.slots + WAITING + SPARE_CONNECTIONS);
  try {
    server = await ServerProcess.start(options.program, serverArguments(options, socket), folder);
    await loaded(server, client, options);
    const props = await client.props(options.signal ?? new AbortController().signal);
    const capabilities: Capabilities = {
      engine: `llama-server ${options.version ?? props.build_info}`.trim(),
      model: options.name,
      image: props.modalities.vision,
      audio: props.modalities.audio,
      slots: props.total_slots,
      contextTokens: props.default_generation_settings.n_ctx,
      logprobs: true,
      jsonSchema: true,
      embeddings: false,
    };
    const { image, audio, contextTokens } = capabilities;
    return new RunningServer(server, client, folder, capabilities, {
      client,
      dialect,
      image,
      audio,
      contextTokens,
      mediaMarker: props.media_marker,
      answerTokens: new Map(),
    });
  } catch (error) {
    await client.destroy(new EngineError('engine_died', 'llama-server was stopped'));
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** A socket's path must be short (104 bytes on macOS, 108 on Linux), which temporary folders at times are not. */
function socketHome(): string {
  return Buffer.byteLength(tmpdir()) > 60 ? '/tmp' : tmpdir();
}

/**
 * Requests that wait inside the server: it fills a slot that falls free at once, where ours would take a round trip and the
 * rendering of a prompt, with the server computing on every core meanwhile.
 */
const WAITING = 2;
/** For health checks while every slot is busy. */
const SPARE_CONNECTIONS = 2;

function requireProjector(path: string): void {
  if (!describeModel(path).isMmproj) {
    throw new EngineError('model_unusable', `${path} is not a projector (mmproj): its architecture is not "clip"`);
  }
}

/** Tokens a picture becomes in Gemma 4, unless limited. */
const IMAGE_TOKENS_LEAST = 70;
const IMAGE_TOKENS_MOST = 1_120;

function serverArguments(options: LlamaServerOptions, socket: string): string[] {
  const threads = String(options.threads ?? cores());
  // A picture of more tokens than one batch aborts the server where its tokens attend to each other.
  const batch = options.mmproj === undefined ? 512 : Math.max(512, options.imageMaxTokens ?? IMAGE_TOKENS_MOST);
  const args = ['--model', options.model, '--host', socket, '--alias', options.name];
  // The server divides the context among its slots. Not unified: a slot's answer then depends on no other slot's length.
  args.push('--parallel', String(options.slots), '--ctx-size', String(options.slots * options.contextTokens));
  args.push('--no-kv-unified', '--threads', threads, '--threads-batch', threads);
  args.push('--ubatch-size', String(batch), '--batch-size', String(Math.max(2_048, batch)));
  // Each slot keeps its last prompt. More would be copied to and fro between requests that have nothing in common. Three
  // checkpoints: before the user's turn (so that a shared system prompt is computed once), and two at the prompt's end, whose
  // place those at the end of a judge's question take.
  args.push('--cache-ram', '0', '--ctx-checkpoints', '3');
  args.push('--no-ui', '--no-slots', '--offline', '--log-colors', 'off', '--verbosity', '2');
  if (options.mmproj !== undefined) args.push('--mmproj', options.mmproj);
  if (options.gpuLayers !== undefined) args.push('--gpu-layers', String(options.gpuLayers));
  const least = options.imageMinTokens ?? Math.min(IMAGE_TOKENS_LEAST, options.imageMaxTokens ?? IMAGE_TOKENS_LEAST);
  // Left to the model unless asked for, or unless the model's least would be more than the most asked for.
  if (options.imageMinTokens !== undefined || least < IMAGE_TOKENS_LEAST)
    args.push('--image-min-tokens', String(least));
  if (options.imageMaxTokens !== undefined) args.push('--image-max-tokens', String(options.imageMaxTokens));
  return args;
}

async function loaded(server: ServerProcess, client: Client, options: LlamaServerOptions): Promise<void> {
  const { program, model, mmproj, onProgress, signal } = options;
  let death: EngineDeath | null = null;
  void server.ended.then((ended) => {
    death = ended;
  });
  const started = Date.now();
  for (let wait = 10, said = started; ; wait = Math.min(250, wait * 1.5)) {
    if (signal?.aborted) throw new EngineError('aborted', 'Loading the model was cancelled', signal.reason);
    if (death !== null) throw notLoaded(death, program, mmproj === undefined ? model : `${model} with ${mmproj}`);
    if (await client.ready()) return;
    if (Date.now() - said > 5_000) {
      said = Date.now();
      onProgress?.(`loading ${model} (${Math.round((said - started) / 1_000)} s)`);
    }
    await sleep(wait);
  }
}

/** Exit codes of a shell that could not start the program. */
const NOT_STARTED = [126, 127];

function notLoaded(death: EngineDeath, program: string, files: string): EngineError {
  if (death.code !== null && NOT_STARTED.includes(death.code)) {
    return new EngineError('engine_missing', `${program} cannot be started. ${describeDeath(death)}`);
  }
  return new EngineError('model_unusable', `llama-server could not load ${files}. ${describeDeath(death)}`);
}

function describeDeath({ code, signal, stderr }: EngineDeath): string {
  const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
  const last = stderr.split('\n').slice(-8).join('\n');
  return last === '' ? `It ended with ${how}.` : `It ended with ${how}; the last it wrote:\n${last}`;
}

class RunningServer implements LlamaServerEngine {
  readonly capabilities: Capabilities;
  readonly ended: Promise<EngineDeath | null>;
  readonly pid: number;
  readonly #server: ServerProcess;
  readonly #client: Client;
  readonly #source: Source;
  readonly #slots: Slots;
  #closing = false;

  constructor(server: ServerProcess, client: Client, folder: string, capabilities: Capabilities, source: Source) {
    this.capabilities = capabilities;
    this.pid = server.pid;
    this.#server = server;
    this.#client = client;
    this.#source = source;
    this.#slots = new Slots(capabilities.slots, WAITING);
    this.ended = server.ended.then(async (death) => {
      const reason = this.#closing ? 'The engine was closed' : `llama-server died. ${describeDeath(death)}`;
      await client.destroy(new EngineError('engine_died', reason));
      await rm(folder, { recursive: true, force: true });
      return this.#closing ? null : death;
    });
  }

  async generate(request: GenerateRequest, signal: AbortSignal) {
    // Before its turn comes: a slot that has fallen free should not wait for that.
    const rendered = render(this.#source, request);
    const call = { prompt: rendered.prompt, keepsSlot: request.judge !== undefined };
    return this.#slots.run(call, signal, (slot) => generate(this.#source, request, rendered, slot, signal));
  }

  async classify(request: ClassifyRequest, signal: AbortSignal) {
    const rendered =
      request.prompt === undefined
        ? render(this.#source, request)
        : { prompt: rawPrompt(request.prompt, { ...this.#source.dialect, ...this.#source }), media: [], prefill: '' };
    const call = { prompt: rendered.prompt, keepsSlot: false };
    return this.#slots.run(call, signal, (slot) => classify(this.#source, rendered, request, slot, signal));
  }

  async health(): Promise<void> {
    if (!(await this.#client.ready())) {
      throw new EngineError('engine_failed', `llama-server does not answer. ${this.#server.tail}`.trim());
    }
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#client.destroy(new EngineError('engine_died', 'The engine was closed'));
    await this.#server.stop();
    await this.ended;
  }
}
