import type { Bucket } from '@batchmill/bucket';
import type { Config } from '@batchmill/config';
import type { Engine } from '@batchmill/engine';
import type { Lane, Queues } from '@batchmill/queue';
import type { Logger } from '@batchmill/telemetry';
import type { InferWorker } from './infer/infer.ts';

export const ROLES = ['control', 'infer'] as const;
export type Role = (typeof ROLES)[number];

export interface WorkerOptions {
  roles: readonly Role[];
  /** The lanes the infer role serves. Default: all. */
  lanes?: readonly Lane[];
  config: Config;
  bucket: Bucket;
  queues: Queues;
  log: Logger;
  /** What takes long at the start: building the engine, downloading and loading a model. `done` of `total`, if known. */
  onProgress?: (message: string, done?: number, total?: number) => void;
  /** What the person who started this should know, in sentences. Default: a line in the log. */
  onWarning?: (warning: string) => void;
  /** For benchmarks and tests: an engine of their own in the place of the configured one. */
  startEngine?: () => Promise<Engine>;
}

export interface Worker {
  readonly infer: InferWorker | null;
  close(): Promise<void>;
}

/** Starts the roles asked for, and loads no other: control first, since it needs no model and is up at once. */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const control = options.roles.includes('control') ? await controls(options) : null;
  try {
    const infer = options.roles.includes('infer') ? await infers(options) : null;
    return {
      infer,
      close: async () => {
        await infer?.close();
        await control?.close();
      },
    };
  } catch (error) {
    await control?.close();
    throw error;
  }
}

async function controls({ config, bucket, queues, log }: WorkerOptions): Promise<{ close(): Promise<void> }> {
  const { startControl } = await import('./control/control.ts');
  return startControl({
    bucket,
    queues,
    log,
    limits: { items: config.limits.batchItems, lineBytes: config.limits.lineBytes },
    sweepIntervalMs: config.worker.sweepIntervalMs,
    retention: config.retention,
    lockMs: config.worker.lockMs,
    fetch: config.fetch,
    publicUrl: config.publicUrl,
  });
}

async function infers(options: WorkerOptions): Promise<InferWorker> {
  const { startConfiguredInfer } = await import('./infer-role.ts');
  return startConfiguredInfer(options);
}
