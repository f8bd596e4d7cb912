import type { Config } from '@batchmill/config';
import { resolveModel, splitIfCombined } from '@batchmill/engine';

/**
 * The configured GGUF files on this machine, downloaded first where they are not. A model that has its encoders in the same
 * file is split into the two files that llama.cpp loads, once; a projector that is configured beside it goes before its own.
 * @throws EngineError `model_unusable` with what is wrong.
 */
export async function modelFiles(
  config: Config,
  onProgress?: (message: string, done?: number, total?: number) => void,
): Promise<{ model: string; mmproj: string | null }> {
  const get = async (source: string, sha256: string | null) => {
    const path = await modelFile(config, source, sha256, onProgress);
    const parts = await splitIfCombined(path, config.model.cache, {
      onProgress: (written, total) =>
        onProgress?.('splitting the model file into text model and encoders', written, total),
    });
    return { path, parts };
  };
  const { source, mmproj, sha256, mmprojSha256 } = config.model;
  const model = await get(source, sha256);
  const projector = mmproj === null ? null : await get(mmproj, mmprojSha256);
  return {
    model: model.parts?.model ?? model.path,
    mmproj: projector === null ? (model.parts?.mmproj ?? null) : (projector.parts?.mmproj ?? projector.path),
  };
}

/** One GGUF on this machine, downloaded first where it is not. @throws EngineError `model_unusable` */
export function modelFile(
  config: Config,
  source: string,
  sha256: string | null,
  onProgress?: (message: string, done?: number, total?: number) => void,
): Promise<string> {
  return resolveModel(source, {
    cacheDir: config.model.cache,
    ...(sha256 === null ? {} : { sha256 }),
    onProgress: ({ file, receivedBytes, totalBytes }) =>
      onProgress?.(`downloading ${file}`, receivedBytes, totalBytes ?? undefined),
    readObject: async (url, start, signal) => {
      const { openS3Input } = await import('@batchmill/bucket/s3-inputs');
      return openS3Input(url, { start, signal });
    },
  });
}
