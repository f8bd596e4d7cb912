import { join } from 'node:path';
import { openS3Input } from '@batchmill/bucket';
import type { Config } from '@batchmill/config';
import { resolveModel } from '@batchmill/engine';

/** The configured GGUF files on this machine, downloaded first where they are not. */
export async function modelFiles(
  config: Config,
  onProgress?: (message: string, done?: number, total?: number) => void,
): Promise<{ model: string; mmproj: string | null }> {
  const cacheDir = join(config.home, 'models');
  const get = (source: string, sha256: string | null) =>
    resolveModel(source, {
      cacheDir,
      ...(sha256 === null ? {} : { sha256 }),
      onProgress: ({ file, receivedBytes, totalBytes }) =>
        onProgress?.(`downloading ${file}`, receivedBytes, totalBytes ?? undefined),
      readObject: (url, start, signal) => openS3Input(url, { start, signal }),
    });
  const { source, mmproj, sha256, mmprojSha256 } = config.model;
  return {
    model: await get(source, sha256),
    mmproj: mmproj === null ? null : await get(mmproj, mmprojSha256),
  };
}
