import { getLlama, type LlamaEmbeddingContext, LlamaLogLevel } from 'node-llama-cpp';
import { readGguf } from '../gguf/index.ts';
import { EngineError } from '../port.ts';
import { classify } from './classify.ts';
import { generate } from './generate.ts';
import type { Loaded } from './loaded.ts';
import { type Embed, type Reply, type Request, requestSchema, type Start } from './messages.ts';
import { type Job, Slots } from './slots.ts';

/**
 * The process that holds the model. Started by `node-llama-cpp.ts` and spoken to in the messages of `messages.ts`: a
 * native crash ends this process and not the worker.
 */

const jobs = new Map<number, Job>();
let loaded: Loaded | null = null;
let embeddings: Promise<LlamaEmbeddingContext> | null = null;
/** Embeddings share one context: one request after the other. */
let lastEmbedding: Promise<unknown> = Promise.resolve();
let threads = 1;

// The model must not outlive the worker, however that ended.
process.on('disconnect', () => process.exit(0));
// Ctrl-C in a terminal reaches this process too: it is the parent's to end it, when it has put its work away.
process.on('SIGINT', () => {});
process.on('message', (raw) => {
  void handle(requestSchema.parse(raw));
});

function reply(message: Reply): void {
  process.send?.(message);
}

async function handle(request: Request): Promise<void> {
  if (request.type === 'abort') {
    const job = jobs.get(request.id);
    if (job !== undefined) job.aborted = true;
    return;
  }
  const id = request.type === 'start' ? null : request.id;
  const job: Job = { aborted: false };
  if (id !== null) jobs.set(id, job);
  try {
    reply(await answer(request, job));
  } catch (error) {
    reply({ type: 'failed', id, ...failure(error, request.type) });
  } finally {
    if (id !== null) jobs.delete(id);
  }
}

async function answer(request: Exclude<Request, { type: 'abort' }>, job: Job): Promise<Reply> {
  if (request.type === 'start') {
    return { type: 'ready', release: await start(request) };
  }
  if (loaded === null) throw new EngineError('engine_failed', 'The model is not loaded yet');
  switch (request.type) {
    case 'ping':
      return { type: 'pong', id: request.id };
    case 'generate':
      return generate(loaded, request, job);
    case 'classify':
      return { type: 'classified', id: request.id, probabilities: await classify(loaded, request, job) };
    case 'embed': {
      const before = lastEmbedding;
      const vectors = before.then(() => embed(request, job));
      lastEmbedding = vectors.catch(() => {});
      return { type: 'embedded', id: request.id, vectors: await vectors };
    }
  }
}

/** @returns the release of llama.cpp. */
async function start(options: Start): Promise<string> {
  threads = options.threads;
  const llama = await getLlama({
    gpu: options.gpu ? 'auto' : false,
    // Never compiles and never downloads: what npm installed is used.
    build: 'never',
    skipDownload: true,
    maxThreads: options.threads,
    logLevel: LlamaLogLevel.warn,
    logger: (_level, message) => process.stderr.write(`${message.trimEnd()}\n`),
  });
  const model = await llama.loadModel({ modelPath: options.modelPath });
  const context = await model.createContext({
    sequences: options.slots,
    contextSize: options.contextTokens,
    threads: options.threads,
  });
  loaded = {
    llama,
    model,
    slots: new Slots(context, options.slots),
    contextTokens: options.contextTokens,
    addsBos: options.addsBos,
    ...vocabulary(options.modelPath),
    writtenOut: new Set(options.writtenOut),
  };
  return llama.llamaCppRelease.release;
}

function vocabulary(path: string): Pick<Loaded, 'vocabularySize' | 'byteTokens'> {
  const gguf = readGguf(path);
  // `<0xE2>` and its like: tokens for bytes that make no text of their own.
  const byteType = 6;
  const types = gguf.numbers('tokenizer.ggml.token_type') ?? [];
  const found = gguf.texts('tokenizer.ggml.tokens', (_utf8, index) => types[index] === byteType);
  return {
    vocabularySize: gguf.array('tokenizer.ggml.tokens')?.length ?? 0,
    byteTokens: new Map(found.map(([id, text]) => [id, Number.parseInt(text.slice(3, 5), 16)])),
  };
}

async function embed(request: Embed, job: Job): Promise<Float32Array[]> {
  if (loaded === null) throw new EngineError('engine_failed', 'The model is not loaded yet');
  const { model, contextTokens } = loaded;
  embeddings ??= model.createEmbeddingContext({ contextSize: contextTokens, threads });
  const context = await embeddings;
  const vectors: Float32Array[] = [];
  for (const text of request.texts) {
    if (job.aborted) throw new EngineError('aborted', 'The request was stopped');
    const length = context.calculateInputLength(text);
    if (text === '') throw new EngineError('bad_request', 'An empty text has no embedding');
    if (length >= contextTokens) {
      throw new EngineError(
        'context_overflow',
        `The text has ${length} tokens, and the model's context takes ${contextTokens}`,
      );
    }
    const { vector } = await context.getEmbeddingFor(text);
    const norm = Math.hypot(...vector);
    if (!(norm > 0 && Number.isFinite(norm))) throw new EngineError('engine_failed', 'The model gave no embedding');
    vectors.push(Float32Array.from(vector, (value) => value / norm));
  }
  return vectors;
}

function failure(
  error: unknown,
  during: Request['type'],
): Pick<Extract<Reply, { type: 'failed' }>, 'code' | 'message'> {
  const message = error instanceof Error ? error.message : String(error);
  if (during === 'start') return { code: 'model_unusable', message };
  if (error instanceof EngineError) {
    switch (error.code) {
      case 'context_overflow':
      case 'bad_request':
      case 'unsupported':
      case 'aborted':
        return { code: error.code, message };
    }
  }
  return { code: 'engine_failed', message };
}
