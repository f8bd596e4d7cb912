import { type Bucket, BucketUrlError, ObjectMissingError, openS3Input, sizeOfS3Input } from '@batchmill/bucket';
import type { Config } from '@batchmill/config';
import { RequestError } from '@batchmill/contract';
import { type Engine, startEngine } from '@batchmill/engine';
import type { Lane, Queues } from '@batchmill/queue';
import { AuditLog, Quarantine } from '@batchmill/safety';
import { createTasks, type Source } from '@batchmill/tasks';
import type { Logger } from '@batchmill/telemetry';
import { startControl } from './control/control.ts';
import { type InferWorker, startInfer } from './infer/infer.ts';
import { modelFiles } from './model-files.ts';
import { openSafety } from './safety.ts';
import { StartTimes } from './start-times.ts';
import { warmUp } from './warm-up.ts';

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

/** Starts the roles asked for, control first: it needs no model and is up at once. */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const { config, bucket, queues, log } = options;
  const control = options.roles.includes('control')
    ? await startControl({
        bucket,
        queues,
        log,
        limits: { items: config.limits.batchItems, lineBytes: config.limits.lineBytes },
        sweepIntervalMs: config.worker.sweepIntervalMs,
        retention: config.retention,
        lockMs: config.worker.lockMs,
        fetch: config.fetch,
        publicUrl: config.publicUrl,
      })
    : null;
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

async function infers(options: WorkerOptions): Promise<InferWorker> {
  const { config, bucket, queues, log, onProgress } = options;
  const took = new StartTimes();
  const start = options.startEngine ?? (await configuredEngine(options, took));
  const { quarantineRecipient, auditKey } = config.safety;
  const safety = await openSafety(config, log, onProgress);
  const infer = await startInfer({
    bucket,
    queues,
    ...(options.lanes === undefined ? {} : { lanes: options.lanes }),
    startEngine: start,
    onFirstItem: () => log.info(took.withFirstItem(), 'the first item is answered'),
    tasks: createTasks({
      imageTokens: config.engine.imageTokens,
      ocr: {
        imageTokens: config.ocr.imageTokens,
        dpi: config.ocr.dpi,
        tileLines: config.ocr.tileLines,
        maxPages: config.ocr.maxPages,
        maxBytes: config.ocr.maxBytes,
        contextTokens: config.engine.contextTokens,
        ...(config.ocr.prompt === null ? {} : { prompt: config.ocr.prompt }),
      },
      transcription: {
        chunkSeconds: config.transcription.chunkSeconds,
        maxHours: config.transcription.maxHours,
        maxBytes: config.transcription.maxBytes,
        ...(config.transcription.prompt === null ? {} : { transcriptionPrompt: config.transcription.prompt }),
        ...(config.transcription.translationPrompt === null
          ? {}
          : { translationPrompt: config.transcription.translationPrompt }),
      },
      fetch: { allow: config.fetch.allow, allowHttp: config.fetch.http },
    }),
    safetyOf: safety.of,
    audit: {
      log: new AuditLog(bucket),
      quarantine: quarantineRecipient === null ? null : new Quarantine(bucket, quarantineRecipient),
      key: auditKey,
    },
    openObject: (tenant, url) => openAllowed(config.s3Inputs, tenant, url),
    log,
    itemTimeoutMs: config.worker.itemTimeoutMs,
    partIntervalMs: config.worker.partIntervalMs,
    stopGraceMs: config.worker.stopGraceMs,
    lockMs: config.worker.lockMs,
  }).catch(async (error: unknown) => {
    await safety.close();
    throw error;
  });
  return {
    ...infer,
    close: async () => {
      await infer.close();
      await safety.close();
    },
  };
}

async function configuredEngine(options: WorkerOptions, took: StartTimes): Promise<() => Promise<Engine>> {
  const { config, log, onProgress } = options;
  const files = await modelFiles(config, onProgress);
  took.end('model_files');
  return async () => {
    const engine = await startEngine({
      kind: config.engine.kind,
      modelPath: files.model,
      mmprojPath: files.mmproj,
      modelName: config.model.name,
      slots: config.engine.slots,
      contextTokens: config.engine.contextTokens,
      imageTokens: Math.max(config.engine.imageTokens, config.ocr.imageTokens),
      ...(config.engine.threads === null ? {} : { threads: config.engine.threads }),
      ...(config.engine.gpuLayers === null ? {} : { gpuLayers: config.engine.gpuLayers }),
      onProgress: (message, done, total) => onProgress?.(message, done, total),
      onWarning: options.onWarning ?? ((warning) => log.warn(warning)),
    });
    took.end('load');
    await warmUp(engine);
    took.end('warm_up');
    return engine;
  };
}

/** Opens an `s3://` object if a prefix of the tenant's allow-list, or of everybody's (`*`), covers it. */
async function openAllowed(allowed: Config['s3Inputs'], tenant: string, url: string): Promise<Source> {
  const prefixes = [...(allowed[tenant] ?? []), ...(allowed['*'] ?? [])];
  if (!prefixes.some((prefix) => url.startsWith(prefix)))
    throw new RequestError(400, `'${url}' is outside the s3:// prefixes this account may read.`, {
      code: 'url_not_allowed',
    });
  try {
    const bytes = await sizeOfS3Input(url);
    return { bytes, read: async () => (await openS3Input(url)).body };
  } catch (error) {
    if (error instanceof ObjectMissingError) throw new RequestError(400, error.message, { code: 'file_not_found' });
    if (error instanceof BucketUrlError) throw new RequestError(400, error.message, { code: 'invalid_value' });
    throw error;
  }
}
