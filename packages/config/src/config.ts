import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

/** The model that ships with the repository, served where none is configured. */
export const SHIPPED = {
  text: fileURLToPath(new URL('../../../models/demo/text.gguf', import.meta.url)),
  mmproj: fileURLToPath(new URL('../../../models/demo/mmproj.gguf', import.meta.url)),
  name: 'batchmill-demo',
  // What it is good at: one short line in a picture, one sentence in a recording (of two it hears one), and to be asked so.
  ocrImageTokens: 280,
  tileLines: 1,
  ocrPrompt: 'Read the text in this image.',
  transcriptionPrompt: 'Transcribe the recording.',
  chunkSeconds: 12,
  chunkPauseMs: 400,
};

const integer = (least: number, most: number) =>
  z.string().regex(/^\d+$/, 'must be a whole number').transform(Number).pipe(z.number().min(least).max(most));
const MB = 1024 * 1024;
const days = z.number().positive().max(36_500).optional();
const RetentionDays = z.strictObject({ batches: days, results: days, files: days });
/** With the slash: `s3://scans` alone would open `s3://scans-of-others/` too. */
const S3_PREFIX = /^s3:\/\/[^/]+\//;

/**
 * Every setting, from the environment. Empty means unset, as in `.env` files. The comments here are the reference that
 * `docs/configuration.md` is checked against.
 */
const Environment = z.object({
  /** Where the embedded queue, the embedded bucket and caches of this installation live. */
  BATCHMILL_HOME: z.string().default('.batchmill'),
  /** Address the API listens on. Anything but loopback needs an API key: `batchmill keys create`. */
  HOST: z.string().default('127.0.0.1'),
  PORT: integer(0, 65_535).default(8080),
  /** Where the API can be reached from outside, for the signed URLs of files in webhooks. API and control workers. */
  PUBLIC_URL: z.url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' }).optional(),
  /** `redis://`, `rediss://`, `postgres://`; unset: an embedded PostgreSQL under BATCHMILL_HOME. */
  QUEUE_URL: z
    .url({ protocol: /^(rediss?|postgres(ql)?)$/, error: 'must be a redis://, rediss:// or postgres:// URL' })
    .optional(),
  /** `s3://bucket/prefix` or `file:///path`; unset: a folder under BATCHMILL_HOME. */
  BUCKET_URL: z.url({ protocol: /^(s3|file)$/, error: 'must be an s3:// or file:// URL' }).optional(),

  /** The GGUF to serve: a path, `hf:owner/repo[:quant|/file.gguf]`, `https://…` or `s3://…`. */
  MODEL: z.string().optional(),
  /** The GGUF with its vision and audio encoders; same forms. */
  MMPROJ: z.string().optional(),
  MODEL_SHA256: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/, 'must be 64 hexadecimal digits')
    .optional(),
  MMPROJ_SHA256: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/, 'must be 64 hexadecimal digits')
    .optional(),
  /** The name requests use for it; `default` always works too. */
  MODEL_NAME: z
    .string()
    .regex(/^[\w./:-]{1,200}$/, 'must be 1 to 200 of letters, digits, . _ / : -')
    .optional(),
  /** `auto`: llama-server, and node-llama-cpp (text only) where there is none. */
  ENGINE: z.enum(['auto', 'llama-server', 'node-llama-cpp']).default('auto'),
  /** Requests the engine answers side by side. */
  SLOTS: integer(1, 256).default(4),
  /** Context of one slot in tokens, prompt and answer together. */
  CONTEXT_TOKENS: integer(256, 1_048_576).default(8192),
  /** CPU threads of the engine; unset: the cores the cgroup gives. */
  THREADS: integer(1, 1024).optional(),
  /** Layers kept on the GPU; unset: as many as fit. */
  GPU_LAYERS: integer(0, 1000).optional(),
  /** Most tokens one picture may take, 70 to 1120: more reads smaller print and takes longer. */
  IMAGE_TOKENS: integer(70, 1120).default(280),

  /** Most tokens one picture of a document's page may take: pages need more than photographs. */
  OCR_IMAGE_TOKENS: integer(70, 1120).optional(),
  /** Resolution at which pages of PDFs are rendered, in dots per inch. */
  OCR_DPI: integer(72, 600).default(200),
  /** What the model is told to do with a page; unset: what suits Gemma 4. */
  OCR_PROMPT: z.string().optional(),
  /** Most lines of print the model reads well in one picture: pages with more are read in tiles. Unset: no such bound. */
  OCR_TILE_LINES: integer(1, 1000).optional(),
  /** Longest document, in pages. */
  OCR_MAX_PAGES: integer(1, 1_000_000).default(5_000),
  /** Largest document, and largest recording to be transcribed. */
  MAX_MEDIA_MB: integer(1, 1_048_576).default(512),
  /** What the model is told to do with a chunk of a recording; unset: what suits Gemma 4. */
  TRANSCRIPTION_PROMPT: z.string().optional(),
  TRANSLATION_PROMPT: z.string().optional(),
  /** Longest chunk of a recording the model hears at once, in seconds. */
  CHUNK_SECONDS: integer(1, 30).optional(),
  /** Silence in a recording that ends a chunk though more would fit, in milliseconds: for models that hear one sentence at a time. */
  CHUNK_PAUSE_MS: integer(400, 10_000).optional(),
  /** Longest recording to be transcribed, in hours. */
  MAX_AUDIO_HOURS: integer(1, 1_000).default(12),

  /** Time one item may take, in seconds; of documents and recordings, one page or chunk. */
  ITEM_TIMEOUT: integer(1, 7 * 86_400).default(1_800),
  /** Results in memory are written to the bucket this often, in seconds. */
  PART_INTERVAL: integer(1, 3_600).default(5),
  /** On SIGTERM, running items may finish for this long, in seconds. */
  STOP_GRACE: integer(0, 3_600).default(20),
  /** Open batches are looked at this often even if nothing happened, in seconds. */
  SWEEP_INTERVAL: integer(1, 3_600).default(15),
  /** A worker silent for this long counts as dead and its shards go to others, in seconds. */
  WORKER_LOCK: integer(2, 3_600).default(30),

  /** Opens what is the operator's (metrics, scaling signal, queues), beside operators' keys. At least 16 characters. */
  OPERATOR_KEY: z.string().min(16, 'must have at least 16 characters').optional(),
  /** Most infer workers there may be: bound of the scaling signal, and full scale of estimates. */
  MAX_WORKERS: integer(1, 10_000).default(8),
  /** Time from asking for a worker to its first item, in seconds. */
  WORKER_START: integer(0, 7_200).default(120),
  /** Part of the time to a deadline that work is planned to take, in percent. */
  SCALE_PACE: integer(1, 100).default(50),
  /** Work that is not worth starting a worker may wait this long for more of it, in seconds. */
  SCALE_PATIENCE: integer(0, 86_400).default(900),

  /** Largest uploaded file. */
  MAX_FILE_MB: integer(1, 1_048_576).default(512),
  /** Largest input file of a batch. */
  MAX_BATCH_MB: integer(1, 1_048_576).default(200),
  /** Most items in a batch. */
  MAX_BATCH_ITEMS: integer(1, 100_000_000).default(50_000),
  /** Longest line of an input file. */
  MAX_LINE_MB: integer(1, 512).default(64),

  /** How many days a tenant's things are kept at most, as JSON: `{"*":{"batches":90,"results":30,"files":30}}`. */
  RETENTION: z
    .string()
    .default('{}')
    .transform((text, context) => {
      try {
        return z.record(z.string(), RetentionDays).parse(JSON.parse(text));
      } catch {
        context.addIssue({
          code: 'custom',
          message: 'must be JSON like {"tenant":{"batches":90,"results":30,"files":30}}, in days, "*" for every tenant',
        });
        return z.NEVER;
      }
    }),
  /** Batches of one API key that have not ended. */
  QUOTA_BATCHES: integer(1, 1_000_000_000).optional(),
  /** Items of these batches. */
  QUOTA_ITEMS: integer(1, 1_000_000_000).optional(),
  /** Their input files together, in MiB. */
  QUOTA_MB: integer(1, 1_000_000_000).optional(),
  /** Requests of one API key in a second. */
  QUOTA_RPS: integer(1, 1_000_000).optional(),

  /** Folder of content policies (YAML): `default.yaml`, `tenants/<tenant>.yaml`, and others by name. API and workers. */
  POLICIES: z.string().optional(),
  /** The GGUF of a guard model, for policies with `guard`: same forms as MODEL. */
  GUARD_MODEL: z.string().optional(),
  /** Texts the guard model judges side by side. */
  GUARD_SLOTS: integer(1, 64).default(2),
  /** An OpenAI-compatible moderation endpoint, for policies with `moderations`: `https://api.openai.com/v1/moderations`. */
  MODERATIONS_URL: z.url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' }).optional(),
  /** Its API key. */
  MODERATIONS_KEY: z.string().optional(),
  /** Makes the hashes of withheld content in the audit log unguessable (HMAC). At least 16 characters. */
  AUDIT_KEY: z.string().min(16, 'must have at least 16 characters').optional(),
  /** Public key (`age1…`) that withheld content is encrypted to, for policies with `withheld: quarantine`. */
  QUARANTINE_RECIPIENT: z
    .string()
    .regex(/^age1[a-z0-9]+$/, 'must be an age public key; make one with: batchmill quarantine keygen')
    .optional(),
  /** Hosts and CIDR ranges that item URLs may reach although they are private, separated by commas. */
  FETCH_ALLOW: z.string().default(''),
  /** `1`: item URLs may be http:// too. */
  FETCH_HTTP: z.enum(['0', '1']).default('0'),
  /** Which `s3://` prefixes each tenant's items may read, as JSON: `{"acme":["s3://scans/acme/"]}`. `*` is every tenant. */
  S3_INPUTS: z
    .string()
    .default('{}')
    .transform((text, context) => {
      try {
        return z.record(z.string(), z.array(z.string().regex(S3_PREFIX))).parse(JSON.parse(text));
      } catch {
        context.addIssue({
          code: 'custom',
          message: 'must be JSON like {"tenant":["s3://bucket/prefix/"]}, each prefix with the slash after its bucket',
        });
        return z.NEVER;
      }
    }),
});

export type Config = ReturnType<typeof loadConfig>;

/** A setting that makes no sense. `message` names the variable and what it must be. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/**
 * Reads the settings.
 * @throws ConfigError that names every wrong variable, never its value (it may be a secret).
 */
export function loadConfig(env: NodeJS.ProcessEnv = process.env) {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = Environment.safeParse(set);
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new ConfigError(`Wrong settings:\n  ${lines.join('\n  ')}`);
  }
  const e = parsed.data;
  const shipped = e.MODEL === undefined;
  return {
    home: e.BATCHMILL_HOME,
    host: e.HOST,
    port: e.PORT,
    publicUrl: e.PUBLIC_URL ?? null,
    queueUrl: e.QUEUE_URL ?? null,
    bucketUrl: e.BUCKET_URL ?? null,
    model: {
      source: e.MODEL ?? SHIPPED.text,
      mmproj: e.MMPROJ ?? (shipped ? SHIPPED.mmproj : null),
      sha256: e.MODEL_SHA256 ?? null,
      mmprojSha256: e.MMPROJ_SHA256 ?? null,
      name: e.MODEL_NAME ?? (shipped ? SHIPPED.name : modelName(e.MODEL ?? '')),
      /** Folder of what is downloaded, and of combined files that were split. */
      cache: join(e.BATCHMILL_HOME, 'models'),
    },
    engine: {
      kind: e.ENGINE,
      slots: e.SLOTS,
      contextTokens: e.CONTEXT_TOKENS,
      threads: e.THREADS ?? null,
      gpuLayers: e.GPU_LAYERS ?? null,
      imageTokens: e.IMAGE_TOKENS,
    },
    ocr: {
      imageTokens: e.OCR_IMAGE_TOKENS ?? (shipped ? SHIPPED.ocrImageTokens : 1_120),
      dpi: e.OCR_DPI,
      prompt: e.OCR_PROMPT ?? (shipped ? SHIPPED.ocrPrompt : null),
      tileLines: e.OCR_TILE_LINES ?? (shipped ? SHIPPED.tileLines : null),
      maxPages: e.OCR_MAX_PAGES,
      maxBytes: e.MAX_MEDIA_MB * MB,
    },
    transcription: {
      prompt: e.TRANSCRIPTION_PROMPT ?? (shipped ? SHIPPED.transcriptionPrompt : null),
      translationPrompt: e.TRANSLATION_PROMPT ?? null,
      chunkSeconds: e.CHUNK_SECONDS ?? (shipped ? SHIPPED.chunkSeconds : 28),
      chunkPauseSeconds: (e.CHUNK_PAUSE_MS ?? (shipped ? SHIPPED.chunkPauseMs : 2_000)) / 1_000,
      maxHours: e.MAX_AUDIO_HOURS,
      maxBytes: e.MAX_MEDIA_MB * MB,
    },
    worker: {
      itemTimeoutMs: e.ITEM_TIMEOUT * 1000,
      partIntervalMs: e.PART_INTERVAL * 1000,
      stopGraceMs: e.STOP_GRACE * 1000,
      sweepIntervalMs: e.SWEEP_INTERVAL * 1000,
      lockMs: e.WORKER_LOCK * 1000,
    },
    operatorKey: e.OPERATOR_KEY ?? null,
    scaling: {
      maxWorkers: e.MAX_WORKERS,
      startSeconds: e.WORKER_START,
      pace: e.SCALE_PACE / 100,
      patienceSeconds: e.SCALE_PATIENCE,
    },
    limits: {
      fileBytes: e.MAX_FILE_MB * MB,
      batchBytes: e.MAX_BATCH_MB * MB,
      batchItems: e.MAX_BATCH_ITEMS,
      lineBytes: e.MAX_LINE_MB * MB,
    },
    retention: e.RETENTION,
    quota: {
      batches: e.QUOTA_BATCHES ?? null,
      items: e.QUOTA_ITEMS ?? null,
      bytes: e.QUOTA_MB === undefined ? null : e.QUOTA_MB * MB,
      requestsPerSecond: e.QUOTA_RPS ?? null,
    },
    safety: {
      policies: e.POLICIES ?? null,
      guardModel: e.GUARD_MODEL ?? null,
      guardSlots: e.GUARD_SLOTS,
      moderationsUrl: e.MODERATIONS_URL ?? null,
      moderationsKey: e.MODERATIONS_KEY ?? null,
      auditKey: e.AUDIT_KEY ?? null,
      quarantineRecipient: e.QUARANTINE_RECIPIENT ?? null,
    },
    fetch: {
      allow: e.FETCH_ALLOW.split(',')
        .map((s) => s.trim())
        .filter((s) => s !== ''),
      http: e.FETCH_HTTP === '1',
    },
    s3Inputs: e.S3_INPUTS,
  };
}

/** `hf:owner/gemma-4-GGUF:Q4_0` and `/models/gemma-4.Q4_0.gguf` are served as `gemma-4-GGUF` and `gemma-4.Q4_0`. */
function modelName(source: string): string {
  const path = source.replace(/^hf:/, '').replace(/[#?].*$/, '');
  const last = path.split('/').at(-1) ?? path;
  return last.replace(/:[\w.-]+$/, '').replace(/\.gguf$/i, '') || 'model';
}
