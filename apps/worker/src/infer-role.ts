import { type Bucket, BucketUrlError, ObjectMissingError } from '@batchmill/bucket';
import type { Config } from '@batchmill/config';
import { RequestError } from '@batchmill/contract';
import { type Engine, startEngine } from '@batchmill/engine';
import { AuditLog } from '@batchmill/safety';
import type { Quarantine } from '@batchmill/safety/quarantine';
import { createTasks, type Source } from '@batchmill/tasks';
import { type InferWorker, startInfer } from './infer/infer.ts';
import { modelFiles } from './model-files.ts';
import { openSafety } from './safety.ts';
import { StartTimes } from './start-times.ts';
import { warmUp } from './warm-up.ts';
import type { WorkerOptions } from './worker.ts';

/** The infer role as the settings have it: its engine, its tasks, its filters. */
export async function startConfiguredInfer(options: WorkerOptions): Promise<InferWorker> {
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
        chunkPauseSeconds: config.transcription.chunkPauseSeconds,
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
      quarantine: quarantineRecipient === null ? null : await quarantineFor(bucket, quarantineRecipient),
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

async function quarantineFor(bucket: Bucket, recipient: string): Promise<Quarantine> {
  const { Quarantine } = await import('@batchmill/safety/quarantine');
  return new Quarantine(bucket, recipient);
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
  const { openS3Input, sizeOfS3Input } = await import('@batchmill/bucket/s3-inputs');
  try {
    const bytes = await sizeOfS3Input(url);
    return { bytes, read: async () => (await openS3Input(url)).body };
  } catch (error) {
    if (error instanceof ObjectMissingError) throw new RequestError(400, error.message, { code: 'file_not_found' });
    if (error instanceof BucketUrlError) throw new RequestError(400, error.message, { code: 'invalid_value' });
    throw error;
  }
}
