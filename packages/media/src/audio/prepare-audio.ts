import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { metrics, timed } from '@batchmill/telemetry';
import { deadline } from '../deadline.ts';
import { createLimit } from '../limit.ts';
import { type End, runDecoder } from './decoders.ts';
import { badAudio } from './recording-errors.ts';

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

/** Decoding and resampling run at some 1,000 times real time; what takes fifty times as long has gone astray. */
const timeLimitMs = (maxSeconds: number) => 60_000 + (maxSeconds / 20) * 1_000;

// It is pure computing: processes, all but one core's worth. Beside these come those of `speechChunks`, which wait most of
// the time.
const limit = createLimit(Math.max(1, availableParallelism() - 1));

/**
 * Makes a recording ready for the engine, whole: any format that FFmpeg reads in, 16 kHz mono out. Runs in a process of
 * its own, which hostile input may crash.
 * @throws RequestError 400 `unsupported_audio` (format or codec), `no_audio` (no audio stream), `invalid_audio` (empty,
 *   damaged, cut off), or `audio_too_long`. If `options.signal` aborts, its reason is thrown.
 */
export async function prepareAudio(bytes: Uint8Array, { maxSeconds, signal }: AudioOptions): Promise<PreparedAudio> {
  if (bytes.length === 0) throw badAudio('The recording is empty.');
  return limit(async () => {
    signal?.throwIfAborted();
    // The decoder reads files: the length of many formats is known at their end only.
    const path = join(tmpdir(), `batchmill-recording-${randomUUID()}`);
    const time = deadline(timeLimitMs(maxSeconds), signal);
    try {
      await writeFile(path, bytes, { mode: 0o600, flag: 'wx' });
      const { data, seconds } = await timed(
        (s) => metrics.mediaSeconds.observe({ step: 'audio' }, s),
        () => whole(path, maxSeconds, time.signal),
      );
      return { data, seconds };
    } catch (error) {
      signal?.throwIfAborted();
      if (time.expired()) throw badAudio('The recording cannot be decoded in time; it may be damaged.');
      throw error;
    } finally {
      time.clear();
      await rm(path, { force: true });
    }
  });
}

async function whole(path: string, maxSeconds: number, signal: AbortSignal): Promise<End> {
  const messages = runDecoder({ want: 'whole', path, maxSeconds }, signal);
  for (;;) {
    const { done, value } = await messages.next();
    if (done === true) return value;
  }
}
