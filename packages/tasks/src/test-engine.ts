import { fileURLToPath } from 'node:url';
import { type Engine, startEngine } from '@batchmill/engine';

const model = (name: string) => fileURLToPath(new URL(`../../../models/test/${name}`, import.meta.url));

/** For the first start on a machine, which builds llama-server. */
export const START_MS = 600_000;

/** The real engine with the tiny model: what it writes is nonsense, but the same each time. */
export function startTinyEngine(): Promise<Engine> {
  return startEngine({
    kind: 'llama-server',
    modelPath: model('text.gguf'),
    mmprojPath: model('mmproj.gguf'),
    modelName: 'tiny',
    slots: 2,
    contextTokens: 4_096,
    imageTokens: 280,
    threads: 1,
  });
}
