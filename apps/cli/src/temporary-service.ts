import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, loadConfig } from '@batchmill/config';
import { createLogger } from '@batchmill/telemetry';
import { cacheFolder } from './cache.ts';
import type { Progress } from './progress.ts';
import { type Service, startService } from './service.ts';
import { onStopSignal } from './signals.ts';

export interface TemporaryServiceOptions {
  /** For the folder's name and the log. */
  name: string;
  progress: Progress;
  /** Settings of its own, over those of the environment. */
  config?: Partial<Config>;
  /** `false`: no HTTP. */
  api?: boolean;
  /** A folder that is there and stays, in which a later service goes on. Default: one of its own that is removed at the end. */
  home?: string;
}

/**
 * Runs `work` with a whole service on a home folder of its own: what people have under `.batchmill` is not touched, and when
 * this returns, or a signal ends it, no process and (unless `home` is given) no file is left. `listen` replaces what a signal does.
 */
export async function withTemporaryService(
  options: TemporaryServiceOptions,
  work: (service: Service, config: Config, listen: (onSignal: () => void) => void) => Promise<void>,
): Promise<void> {
  const { name, progress } = options;
  const home = options.home ?? (await mkdtemp(join(tmpdir(), `batchmill-${name}-`)));
  // As root PostgreSQL runs as another user, who must get to its data in here; to the requests and answers nobody else may.
  await chmod(home, 0o711);
  await mkdir(join(home, 'bucket'), { mode: 0o700, recursive: true });
  const remove = async () => {
    if (options.home === undefined) await rm(home, { recursive: true, force: true, maxRetries: 5 });
  };
  let service: Service | null = null;
  let unlisten = onStopSignal(() => {
    progress.end('Stopping …');
    // If it is only starting yet, what has been started ends with this process.
    void Promise.resolve(service?.close())
      .catch(() => {})
      .then(remove)
      .finally(() => process.exit(130));
  });
  const settings = { ...loadConfig(), ...options.config, home };
  // What is downloaded or split outlives the folder: the next one takes it from there.
  const config = { ...settings, model: { ...settings.model, cache: cacheFolder('models') } };
  try {
    service = await startService({
      config,
      log: createLogger(name),
      keep: options.home !== undefined,
      onProgress: progress.update,
      onWarning: progress.warn,
      ...(options.api === undefined ? {} : { api: options.api }),
    });
    try {
      await work(service, config, (onSignal) => {
        unlisten();
        unlisten = onStopSignal(onSignal);
      });
    } finally {
      await service.close();
    }
  } finally {
    progress.end();
    unlisten();
    await remove();
  }
}
