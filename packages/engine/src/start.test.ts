import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type EngineOptions, startEngine } from './start.ts';

const options: EngineOptions = {
  kind: 'auto',
  modelPath: fileURLToPath(new URL('../../../models/test/text.gguf', import.meta.url)),
  mmprojPath: null,
  modelName: 'tiny',
  slots: 1,
  contextTokens: 512,
  imageTokens: 70,
  threads: 1,
  gpuLayers: 0,
};

/** No llama-server is to be had: the one that is named does not exist, and a named one is never replaced. */
let before: string | undefined;
beforeEach(() => {
  before = process.env.LLAMA_SERVER;
  process.env.LLAMA_SERVER = '/nowhere/llama-server';
});
afterEach(() => {
  if (before === undefined) delete process.env.LLAMA_SERVER;
  else process.env.LLAMA_SERVER = before;
});

describe('without a llama-server', () => {
  it('text is answered by node-llama-cpp, with a warning', async () => {
    const warnings: string[] = [];
    const engine = await startEngine({ ...options, onWarning: (warning) => warnings.push(warning) });
    try {
      expect(engine.capabilities).toMatchObject({ image: false, audio: false, model: 'tiny' });
      expect(engine.capabilities.engine).toMatch(/^node-llama-cpp/);
      expect(warnings.join()).toContain('/nowhere/llama-server');
      expect(warnings.join()).toContain('pictures and recordings are not');
    } finally {
      await engine.close();
    }
  });

  it('who asked for one is told', async () => {
    await expect(startEngine({ ...options, kind: 'llama-server' })).rejects.toEqual(
      expect.objectContaining({ code: 'engine_missing' }),
    );
  });

  it('who asked for node-llama-cpp is not warned', async () => {
    const warnings: string[] = [];
    const engine = await startEngine({
      ...options,
      kind: 'node-llama-cpp',
      onWarning: (warning) => warnings.push(warning),
    });
    await engine.close();
    expect(warnings).toEqual([]);
  });
});
