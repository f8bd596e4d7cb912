import {
  AV_CHANNEL_LAYOUT_MONO,
  AV_CHANNEL_LAYOUT_STEREO,
  AV_CHANNEL_ORDER_UNSPEC,
  AV_SAMPLE_FMT_S16,
  AVERROR_INPUT_CHANGED,
  type AVSampleFormat,
} from 'node-av/constants';
import { avChannelLayoutDefault, type ChannelLayout, type Frame, SoftwareResampleContext } from 'node-av/lib';
import { badAudio, tooLong, unsupported } from './recording-errors.ts';
import { ENGINE_RATE } from './wav.ts';

/** A gap in the time stamps is filled with silence from 100 ms on; above an hour it is no gap but a broken clock. */
const [MIN_GAP, MAX_GAP] = [0.1, 3_600];

/** Samples that are waited for before they are taken out of the resampler: many frames at a time. */
const BATCH = ENGINE_RATE / 2;
/** Stands for a channel without new samples. */
const NOTHING = Buffer.alloc(16);

/** Resamples frames and lays them at their time. */
export class Resampler {
  /** Of the recording; 0 before the first frame. */
  channels = 0;
  readonly #wanted: 'mix' | 'split';
  readonly #maxSamples: number;
  readonly #maxSeconds: number;
  #context: SoftwareResampleContext | null = null;
  /** What the frames' own layout, which says nothing, is taken for. */
  #layout: ChannelLayout | null = null;
  #channelsIn = 1;
  #channelsOut = 1;
  /** Samples given out, and seconds of sound put in that have not come out. */
  #samples = 0;
  #inside = 0;
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

  /** Takes a frame that begins at `time` seconds, as far as the file says. */
  *push(frame: Frame, format: AVSampleFormat, time: number | null): Generator<Int16Array[]> {
    if (this.channels === 0) {
      this.channels = frame.channels;
      this.#channelsOut = this.#wanted === 'split' && frame.channels >= 2 ? 2 : 1;
    }
    this.#context ??= this.#open(frame, format);
    if (time !== null) yield* this.#silenceUntil(time);
    let result = this.#put(this.#context, frame);
    if (result === AVERROR_INPUT_CHANGED) {
      // A stream may change midway (joined files).
      yield* this.flush();
      this.close();
      this.#context = this.#open(frame, format);
      result = this.#put(this.#context, frame);
    }
    if (result < 0) throw notResampled();
    this.#inside += frame.nbSamples / frame.sampleRate;
    if (this.#inside * ENGINE_RATE >= BATCH) yield* this.#take(false);
  }

  /** What the resampler still holds. */
  *flush(): Generator<Int16Array[]> {
    yield* this.#take(true);
  }

  close(): void {
    this.#context?.free();
    this.#context = null;
  }

  *#silenceUntil(time: number): Generator<Int16Array[]> {
    const gap = time + this.#shift - this.seconds - this.#inside;
    if (Math.abs(gap) < MIN_GAP) return;
    if (gap < 0 || gap > MAX_GAP) {
      this.#shift -= gap;
      return;
    }
    yield* this.#take(false);
    for (let left = Math.round(gap * ENGINE_RATE); left > 0; ) {
      const n = Math.min(left, ENGINE_RATE);
      left -= n;
      yield this.#counted(Array.from({ length: this.#channelsOut }, () => new Int16Array(n)));
    }
  }

  /** A whole frame at once: each buffer of a frame's samples that JavaScript has seen leaves some memory lost (node-av 6.1). */
  #put(context: SoftwareResampleContext, frame: Frame): number {
    if (this.#layout !== null && this.#layout.nbChannels === frame.channels) frame.channelLayout = this.#layout;
    return context.convertFrame(null, frame);
  }

  *#take(last: boolean): Generator<Int16Array[]> {
    if (this.#context === null) return;
    const room = this.#context.getOutSamples(0) + 32;
    const bytes = room * 2 * this.#channelsOut;
    if (this.#buffer.length < bytes) this.#buffer = Buffer.alloc(bytes);
    // No input at all would mean the end.
    const input = last ? null : new Array<Buffer>(this.#channelsIn).fill(NOTHING);
    const n = this.#context.convertSync([this.#buffer], room, input, 0);
    if (n < 0) throw notResampled();
    this.#inside = 0;
    if (n === 0) return;
    const all = new Int16Array(this.#buffer.buffer, this.#buffer.byteOffset, n * this.#channelsOut);
    yield this.#counted(this.#channelsOut === 1 ? [all] : [everySecond(all, 0), everySecond(all, 1)]);
  }

  #counted(block: Int16Array[]): Int16Array[] {
    this.#samples += block[0]?.length ?? 0;
    if (this.#samples > this.#maxSamples) throw tooLong(this.#maxSeconds);
    return block;
  }

  #open(frame: Frame, format: AVSampleFormat): SoftwareResampleContext {
    const { channels, channelLayout, sampleRate } = frame;
    this.#channelsIn = channels;
    const unnamed = channelLayout.order === AV_CHANNEL_ORDER_UNSPEC;
    this.#layout = unnamed ? avChannelLayoutDefault(channels) : null;
    const from = this.#layout ?? channelLayout;
    const to = this.#channelsOut === 2 ? AV_CHANNEL_LAYOUT_STEREO : AV_CHANNEL_LAYOUT_MONO;
    const context = new SoftwareResampleContext();
    let result = context.allocSetOpts2(to, AV_SAMPLE_FMT_S16, ENGINE_RATE, from, format, sampleRate);
    // FFmpeg mixes by the places of the loudspeakers, if the file says them; else by the mean.
    if (result >= 0 && this.#channelsOut === 1 && unnamed)
      result = context.setMatrix(new Array<number>(channels).fill(1 / channels), channels);
    if (result >= 0 && this.#channelsOut === 2 && channels >= 2) {
      const only = (channel: number) => Array.from({ length: channels }, (_, i) => (i === channel ? 1 : 0));
      result = context.setMatrix([...only(0), ...only(1)], channels);
    }
    if (result < 0 || context.init() < 0) {
      context.free();
      throw unsupported(`The recording's sound (${channels} channels of ${sampleRate} Hz) cannot be resampled.`);
    }
    return context;
  }
}

const notResampled = () => badAudio('The recording cannot be brought to 16 kHz; it may be damaged.');

function everySecond(samples: Int16Array, first: number): Int16Array {
  const out = new Int16Array(samples.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = samples[2 * i + first] ?? 0;
  return out;
}
