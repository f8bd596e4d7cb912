import { ensureLlamaServer } from './llama-server/find.ts';
import { type Engine, EngineError } from './port.ts';

export interface EngineOptions {
  /** `auto`: llama-server, and node-llama-cpp (text only) where there is none and none can be built. */
  kind: 'auto' | 'llama-server' | 'node-llama-cpp';
  /** The text model's GGUF. */
  modelPath: string;
  /** The GGUF with the vision and audio encoders; without it, text only. */
  mmprojPath: string | null;
  /** The name it is served under. */
  modelName: string;
  slots: number;
  /** Context of one slot, in tokens. */
  contextTokens: number;
  /** Most tokens one picture becomes. */
  imageTokens: number;
  /** Threads to compute with; the cores the cgroup gives unless given. */
  threads?: number;
  /** Layers on the GPU; as many as fit unless given. */
  gpuLayers?: number;
  /** What takes long: building llama-server once, loading the model. `done` of `total`, if known. */
  onProgress?: (message: string, done?: number, total?: number) => void;
  /** What an operator should know, in sentences. */
  onWarning?: (warning: string) => void;
}

/**
 * Starts the engine the settings ask for.
 * @throws EngineError `model_unusable` if the model cannot be loaded; `engine_missing` if llama-server was asked for and
 *   there is none.
 */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  if (options.kind === 'node-llama-cpp') return nodeLlamaCpp(options);
  let program: Awaited<ReturnType<typeof ensureLlamaServer>>;
  try {
    program = await ensureLlamaServer({
      onProgress: (done, total, message) => options.onProgress?.(message, done, total),
    });
  } catch (error) {
    if (options.kind !== 'auto' || !(error instanceof EngineError) || error.code !== 'engine_missing') throw error;
    options.onWarning?.(
      `${error.message}\nText is answered by node-llama-cpp meanwhile; pictures and recordings are not.`,
    );
    return nodeLlamaCpp(options);
  }
  for (const warning of program.warnings) options.onWarning?.(warning);
  const { startLlamaServer } = await import('./llama-server/engine.ts');
  return startLlamaServer({
    program: program.path,
    version: program.version,
    model: options.modelPath,
    ...(options.mmprojPath === null ? {} : { mmproj: options.mmprojPath }),
    name: options.modelName,
    slots: options.slots,
    contextTokens: options.contextTokens,
    imageMaxTokens: options.imageTokens,
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    ...(options.gpuLayers === undefined ? {} : { gpuLayers: options.gpuLayers }),
    ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
  });
}

async function nodeLlamaCpp(options: EngineOptions): Promise<Engine> {
  const { startNodeLlamaCpp } = await import('./node-llama-cpp/node-llama-cpp.ts');
  return startNodeLlamaCpp({
    modelPath: options.modelPath,
    model: options.modelName,
    slots: options.slots,
    contextTokens: options.contextTokens,
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    ...(options.gpuLayers === 0 ? { gpu: false } : {}),
  });
}
