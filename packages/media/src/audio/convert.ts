import { RequestError } from '@batchmill/contract';
import { type Compressed, decodeCompressed } from './compressed.ts';
import { ENGINE_RATE, MAX_RATE, Resampler } from './resample.ts';
import { type Block, badAudio, decodeWav, encodeWav } from './wav.ts';

export type AudioKind = 'wav' | Compressed;

/** What a worker thread is given, and gives back: errors lose their class on the way, so they travel as fields. */
export interface ConvertJob {
  bytes: Uint8Array;
  kind: AudioKind;
  maxSeconds: number;
}
export type Converted = { data: Uint8Array; seconds: number } | { code: string; message: string };

/** Decodes, mixes down and resamples a recording in one pass, in memory for the result and one block. */
export async function convert({ bytes, kind, maxSeconds }: ConvertJob): Promise<Converted> {
  try {
    const pieces: Int16Array[] = [];
    let samples = 0;
    let seconds = 0;
    const keep = (piece: Float32Array) => {
      samples += piece.length;
      pieces.push(toInt16(piece));
    };
    let resampler: { rate: number; push(s: Float32Array): Float32Array; flush(): Float32Array } | null = null;
    const blocks: Iterable<Block> | AsyncIterable<Block> =
      kind === 'wav' ? decodeWav(bytes) : decodeCompressed(bytes, kind);
    for await (const block of blocks) {
      seconds += block.samples.length / block.rate;
      // Before resampling: at 1 Hz a small file would become gigabytes. A millisecond is for the sum's rounding.
      if (seconds > maxSeconds + 0.001)
        throw new RequestError(400, `The recording is longer than ${maxSeconds} s; cut it into shorter ones.`, {
          code: 'audio_too_long',
        });
      // A stream may change its rate midway (joined MP3s, chained Ogg streams).
      if (resampler?.rate !== block.rate) {
        if (resampler !== null) keep(resampler.flush());
        resampler = resamplerFor(block.rate);
      }
      keep(resampler.push(block.samples));
    }
    if (resampler !== null) keep(resampler.flush());
    return { data: encodeWav(pieces, ENGINE_RATE), seconds: samples / ENGINE_RATE };
  } catch (error) {
    if (error instanceof RequestError) return { code: error.code ?? 'invalid_audio', message: error.message };
    const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : '';
    return { code: 'invalid_audio', message: `The recording (${kind}) cannot be decoded: ${reason.slice(0, 120)}.` };
  }
}

function resamplerFor(rate: number) {
  if (!Number.isInteger(rate) || rate < 1 || rate > MAX_RATE)
    throw badAudio(`The recording has a sample rate of ${rate} Hz.`);
  if (rate === ENGINE_RATE) return { rate, push: (s: Float32Array) => s, flush: () => new Float32Array() };
  const resampler = new Resampler(rate);
  return { rate, push: (s: Float32Array) => resampler.push(s), flush: () => resampler.flush() };
}

function toInt16(samples: Float32Array): Int16Array {
  const out = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i++)
    out[i] = Math.max(-32_768, Math.min(32_767, Math.round((samples[i] ?? 0) * 32_768)));
  return out;
}
