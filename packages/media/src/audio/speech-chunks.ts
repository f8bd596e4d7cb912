import { metrics, timed } from '@batchmill/telemetry';
import { createLimit } from '../limit.ts';
import type { RecordingBegin } from './decode.ts';
import { runDecoder } from './decoders.ts';

export interface ChunkOptions {
  /** No chunk is longer. */
  maxChunkSeconds: number;
  /** Silence that ends a chunk though more would fit, at least 0.4. Default 2: models hear a sentence better after another. */
  pauseSeconds?: number;
  /** `mix`: all channels mixed down to one. `split`: the first two channels apart, as calls are recorded. */
  channels: 'mix' | 'split';
  /** Longest recording taken. */
  maxSeconds: number;
  /** Is told before the first chunk what is known by then. What it throws ends it all. */
  onBegin?: (begin: RecordingBegin) => void;
  signal: AbortSignal;
}

export interface SpeechChunk {
  /** Counts the chunks of one channel from 0. */
  index: number;
  /** 0 with `mix`; 0 or 1 with `split`. */
  channel: number;
  /** Where it lies in the recording, in seconds. */
  start: number;
  end: number;
  /** How much of it is speech. */
  speechSeconds: number;
  /** WAV, 16 kHz, mono, 16-bit PCM. */
  data: Uint8Array;
}

export interface RecordingInfo {
  seconds: number;
  /** Channels of the recording itself. */
  channels: number;
  /** Sum over the chunks. */
  speechSeconds: number;
  /** How much less there was than the file promised: more than 0 if it was cut off or damaged. */
  missingSeconds: number;
}

/** Recordings under way at once. One alone feeds many slots; each holds a process. */
const RECORDINGS = 4;
const limit = createLimit(RECORDINGS);

/**
 * Finds the speech of a recording, in any format that FFmpeg reads, video too, and cuts it into chunks, in silence wherever
 * there is any. Chunks come in the order of their ends, those of two channels mixed; none is longer than
 * `maxChunkSeconds`, no two of a channel overlap, and all speech is in one of them. Silence of more than
 * `pauseSeconds` between is in none.
 * The same file gives the same chunks. Works in a process of its own, which waits while nobody asks for the next chunk,
 * so that hours of sound take no more memory than minutes; when more than a few recordings are under way, the next
 * waits for its turn.
 * @returns what is known of the recording at its end; no chunks if nobody speaks.
 * A recording that is cut off or damaged is delivered as far as it goes, and its end says what is missing.
 * @throws RequestError 400 `unsupported_audio`, `no_audio`, `invalid_audio` or `audio_too_long` (perhaps only after
 *   chunks: some files do not say how long they are). If `signal` aborts, its reason is thrown.
 */
export async function* speechChunks(path: string, options: ChunkOptions): AsyncGenerator<SpeechChunk, RecordingInfo> {
  const { signal, onBegin, pauseSeconds = 2, ...wanted } = options;
  const turn = Promise.withResolvers<void>();
  const over = Promise.withResolvers<void>();
  const giveUp = () => turn.reject(signal.reason);
  signal.addEventListener('abort', giveUp, { once: true });
  void limit(async () => {
    turn.resolve();
    await over.promise;
  });
  try {
    signal.throwIfAborted();
    await turn.promise;
    const job = { want: 'chunks' as const, path, pauseSeconds, ...wanted };
    const found = runDecoder(job, signal, onBegin === undefined ? {} : { onBegin });
    const { seconds, channels, speechSeconds, missingSeconds } = yield* measuredSteps(found);
    return { seconds, channels, speechSeconds, missingSeconds };
  } finally {
    signal.removeEventListener('abort', giveUp);
    over.resolve();
  }
}

/** The same steps, each with the time that whoever asked for it waited. */
async function* measuredSteps<T, R>(steps: AsyncGenerator<T, R>): AsyncGenerator<T, R> {
  const observe = (seconds: number) => metrics.mediaSeconds.observe({ step: 'recording' }, seconds);
  let ended = false;
  try {
    for (;;) {
      const { done, value } = await timed(observe, () => steps.next());
      ended = done === true;
      if (done) return value;
      yield value;
    }
  } finally {
    if (!ended) await steps[Symbol.asyncDispose]();
  }
}
