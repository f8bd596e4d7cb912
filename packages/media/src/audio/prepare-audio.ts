import { availableParallelism } from 'node:os';
import { RequestError } from '@batchmill/contract';
import { fileTypeFromBuffer } from 'file-type';
import { Piscina } from 'piscina';
import { deadline } from '../deadline.ts';
import { createLimit } from '../limit.ts';
import type { AudioKind, Converted, ConvertJob } from './convert.ts';
import { badAudio } from './wav.ts';

export interface AudioOptions {
  /** Longest recording taken. */
  maxSeconds: number;
  signal?: AbortSignal;
}

export interface PreparedAudio {
  /** WAV, 16 kHz, mono, 16-bit PCM. */
  data: Uint8Array;
  seconds: number;
}

/** Decoding and resampling run at some 200 times real time; what needs ten times as long is a decoder gone astray. */
const timeLimitMs = (maxSeconds: number) => 60_000 + (maxSeconds / 20) * 1_000;

const THREADS = Math.max(1, availableParallelism() - 1);
// The pool has a queue too, but waiting in it would count as time spent.
const limit = createLimit(THREADS);

// An hour of sound takes seconds of pure computing, which would hold up everything else in the process: so threads, all
// but one core's worth, started when first needed and ended when idle.
let pool: Piscina<ConvertJob, Converted> | undefined;
const threads = () =>
  (pool ??= new Piscina<ConvertJob, Converted>({
    filename: new URL('./worker.ts', import.meta.url).href,
    minThreads: 0,
    maxThreads: THREADS,
    idleTimeout: 30_000,
    concurrentTasksPerWorker: 1,
  }));

/**
 * Makes a recording ready for the engine: WAV, MP3, FLAC, Ogg Vorbis or Ogg Opus in; 16 kHz mono out. Runs in a thread.
 * @throws RequestError 400 `invalid_audio` (empty, damaged, cut off), `unsupported_audio` (another format), or
 *   `audio_too_long`. If `options.signal` aborts, its reason is thrown.
 */
export async function prepareAudio(bytes: Uint8Array, { maxSeconds, signal }: AudioOptions): Promise<PreparedAudio> {
  const kind = await kindOf(bytes);
  const result = await limit(() => convertInThread({ bytes, kind, maxSeconds }, signal));
  if ('code' in result) throw new RequestError(400, result.message, { code: result.code });
  return result;
}

async function convertInThread(job: ConvertJob, signal: AbortSignal | undefined): Promise<Converted> {
  signal?.throwIfAborted();
  const time = deadline(timeLimitMs(job.maxSeconds), signal);
  try {
    return await threads().run(job, { signal: time.signal });
  } catch (error) {
    signal?.throwIfAborted();
    if (time.expired()) throw badAudio(`The recording (${job.kind}) cannot be decoded in time; it may be damaged.`);
    throw error;
  } finally {
    time.clear();
  }
}

async function kindOf(bytes: Uint8Array): Promise<AudioKind> {
  if (bytes.length === 0) throw badAudio('The recording is empty.');
  const mime = (await fileTypeFromBuffer(bytes))?.mime;
  if (mime === 'audio/wav') return 'wav';
  if (mime === 'audio/mpeg') return 'mp3';
  if (mime === 'audio/flac') return 'flac';
  if (mime?.startsWith('audio/ogg')) {
    // The first packet of an Ogg stream names its codec.
    const head = Buffer.from(bytes.subarray(0, 128)).toString('latin1');
    if (head.includes('OpusHead')) return 'opus';
    if (head.includes('\x01vorbis')) return 'vorbis';
    if (head.includes('\x7fFLAC')) return 'flac';
  }
  throw new RequestError(
    400,
    `The recording is ${mime === undefined ? 'of an unknown format' : mime}; WAV, MP3, FLAC, Ogg Vorbis and Ogg Opus are taken.`,
    { code: 'unsupported_audio' },
  );
}
