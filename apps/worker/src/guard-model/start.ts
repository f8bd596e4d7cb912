import { basename } from 'node:path';
import { type Engine, startEngine } from '@batchmill/engine';

export interface GuardModelOptions {
  /** The guard model's GGUF. */
  modelPath: string;
  /** Windows judged side by side. */
  slots: number;
  /** Context of one slot, in tokens: a window, what was asked, and the format's own words. */
  contextTokens?: number;
  /** Threads to compute with; the cores the cgroup gives unless given. */
  threads?: number;
  /** Layers on the GPU; as many as fit unless given. */
  gpuLayers?: number;
}

/** A window of 2,000 tokens, half as much of what was asked, and prompts of up to 900 tokens, with room for dense text. */
const CONTEXT_TOKENS = 8_192;

/**
 * Loads a guard model into a node-llama-cpp process of its own, so that judging holds no slot of the engine that answers. `guard`
 * makes filters of it; those of several policies share it.
 * @throws EngineError `model_unusable` when the model cannot be loaded.
 */
export function startGuard({
  modelPath,
  contextTokens = CONTEXT_TOKENS,
  ...options
}: GuardModelOptions): Promise<Engine> {
  return startEngine({
    kind: 'node-llama-cpp',
    modelPath,
    mmprojPath: null,
    modelName: basename(modelPath),
    contextTokens,
    imageTokens: 0,
    ...options,
  });
}
