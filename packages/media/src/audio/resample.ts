import {
  AV_CHANNEL_LAYOUT_MONO,
  AV_CHANNEL_LAYOUT_STEREO,
  AV_CHANNEL_ORDER_UNSPEC,
  AV_SAMPLE_FMT_S16,
  type AVSampleFormat,
} from 'node-av/constants';
import { type Frame, SoftwareResampleContext } from 'node-av/lib';
import { badAudio, tooLong, unsupported } from './recording-errors.ts';
import { ENGINE_RATE } from './wav.ts';

/** A gap in the time stamps is filled with silence from 100 ms on; above an hour it is no gap but a broken clock. */
const [MIN_GAP, MAX_GAP] = [0.1, 3_600];

/** Resamples frames and lays them at their time. */
export class Resampler {
  /** Of the recording; 0 before the first frame. */
  channels = 0;
  readonly #wanted: 'mix' | 'split';
  readonly #maxSamples: number;
  readonly #maxSeconds: number;
  #resampler: { key: string; context: SoftwareResampleContext } | null = null;
  #channelsOut = 1;
  #samples = 0;
  /** Added to time stamps, which may begin anew or be broken. */
  #shift = 0;
  #buffer = Buffer.alloc(0);

  constructor(wanted: 'mix' | 'split', maxSeconds: number) {
    this.#wanted = wanted;
    this.#maxSeconds = maxSeconds;
    // A millisecond is for the rounding of the resampler.
    this.#maxSamples = Math.floor((maxSeconds + 0.001) * ENGINE_RATE);
  }

  get seconds(): number {
    return this.#samples / ENGINE_RATE;
  }

  *push(frame: Frame, format: AVSampleFormat, time: number | null): Generator<Int16Array[]> {
    if (this.channels === 0) {
      this.channels = frame.channels;
      this.#channelsOut = this.#wanted === 'split' && frame.channels >= 2 ? 2 : 1;
    }
    // A stream may change midway (joined files).
    const key = `${frame.sampleRate} ${format} ${frame.channels} ${frame.channelLayout.mask}`;
    if (this.#resampler?.key !== key) {
      yield* this.flush();
      this.close();
      this.#resampler = { key, context: this.#resamplerFor(frame, format) };
    }
    if (time !== null) yield* this.#silenceUntil(time);
    const { context } = this.#resampler;
    yield* this.#convert(context, frame.extendedData, frame.nbSamples);
  }

  /** What the resampler still holds. */
  *flush(): Generator<Int16Array[]> {
    if (this.#resampler !== null) yield* this.#convert(this.#resampler.context, null, 0);
  }

  close(): void {
    this.#resampler?.context.free();
    this.#resampler = null;
  }

  *#silenceUntil(time: number): Generator<Int16Array[]> {
    const gap = time + this.#shift - this.seconds;
    if (Math.abs(gap) < MIN_GAP) return;
    if (gap < 0 || gap > MAX_GAP) {
      this.#shift -= gap;
      return;
    }
    for (let left = Math.round(gap * ENGINE_RATE); left > 0; ) {
      const n = Math.min(left, ENGINE_RATE);
      left -= n;
      yield this.#counted(Array.from({ length: this.#channelsOut }, () => new Int16Array(n)));
    }
  }

  *#convert(context: SoftwareResampleContext, data: Buffer[] | null, samples: number): Generator<Int16Array[]> {
    const room = context.getOutSamples(samples) + 32;
    const bytes = room * 2 * this.#channelsOut;
    if (this.#buffer.length < bytes) this.#buffer = Buffer.alloc(bytes);
    const n = context.convertSync([this.#buffer], room, data, samples);
    if (n < 0) throw badAudio('The recording cannot be brought to 16 kHz; it may be damaged.');
    if (n === 0) return;
    const all = new Int16Array(this.#buffer.buffer, this.#buffer.byteOffset, n * this.#channelsOut);
    yield this.#counted(this.#channelsOut === 1 ? [all] : [everySecond(all, 0), everySecond(all, 1)]);
  }

  #counted(block: Int16Array[]): Int16Array[] {
    this.#samples += block[0]?.length ?? 0;
    if (this.#samples > this.#maxSamples) throw tooLong(this.#maxSeconds);
    return block;
  }

  #resamplerFor(frame: Frame, format: AVSampleFormat): SoftwareResampleContext {
    const { channels, channelLayout, sampleRate } = frame;
    const context = new SoftwareResampleContext();
    const layout = this.#channelsOut === 2 ? AV_CHANNEL_LAYOUT_STEREO : AV_CHANNEL_LAYOUT_MONO;
    let result = context.allocSetOpts2(layout, AV_SAMPLE_FMT_S16, ENGINE_RATE, channelLayout, format, sampleRate);
    // FFmpeg mixes by the places of the loudspeakers, if the file says them; else by the mean.
    if (result >= 0 && this.#channelsOut === 1 && channels > 1 && channelLayout.order === AV_CHANNEL_ORDER_UNSPEC)
      result = context.setMatrix(new Array<number>(channels).fill(1 / channels), channels);
    if (result >= 0 && this.#channelsOut === 2 && channels >= 2) {
      const take = (channel: number) => Array.from({ length: channels }, (_, i) => (i === channel ? 1 : 0));
      result = context.setMatrix([...take(0), ...take(1)], channels);
    }
    if (result < 0 || context.init() < 0) {
      context.free();
      throw unsupported(`The recording's sound (${channels} channels of ${sampleRate} Hz) cannot be resampled.`);
    }
    return context;
  }
}

function everySecond(samples: Int16Array, first: number): Int16Array {
  const out = new Int16Array(samples.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = samples[2 * i + first] ?? 0;
  return out;
}
