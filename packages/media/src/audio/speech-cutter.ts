import { Segmenter, type Span } from './segmenter.ts';
import { FRAME, VoiceDetector } from './voice.ts';

/** A stretch of one channel that holds speech. */
export interface Speech {
  /** First sample, and the one after the last. */
  start: number;
  end: number;
  /** Samples of it that are speech. */
  speech: number;
  samples: Int16Array;
}

/** Cuts one channel of 16 kHz sound into its chunks of speech, holding no more of it than a chunk and a few seconds. */
export class SpeechCutter {
  readonly #detector = new VoiceDetector();
  readonly #segmenter: Segmenter;
  /** Samples from number `#base` on; `#length` of them are there. */
  #samples = new Int16Array(2 ** 16);
  #base = 0;
  #length = 0;
  /** The first sample the detector has not heard. */
  #unheard = 0;

  constructor(maxChunkSeconds: number, pauseSeconds: number) {
    this.#segmenter = new Segmenter(Math.floor(maxChunkSeconds * 50), Math.round(pauseSeconds * 50));
  }

  *push(samples: Int16Array): Generator<Speech> {
    this.#append(samples);
    const end = this.#base + this.#length;
    for (; this.#unheard + FRAME <= end; this.#unheard += FRAME) {
      const at = this.#unheard - this.#base;
      const heard = this.#detector.push(this.#samples.subarray(at, at + FRAME));
      const span = heard === null ? null : this.#segmenter.push(heard);
      if (span !== null) yield this.#speech(span);
    }
  }

  /** The last chunks, when the recording has ended. */
  *flush(): Generator<Speech> {
    const end = this.#base + this.#length;
    const rest = (end - this.#unheard) % FRAME;
    if (rest > 0) yield* this.push(new Int16Array(FRAME - rest));
    // The silence put behind is no part of the recording.
    this.#length = end - this.#base;
    for (const heard of this.#detector.flush()) {
      const span = this.#segmenter.push(heard);
      if (span !== null) yield this.#speech(span);
    }
    const last = this.#segmenter.flush();
    if (last !== null) yield this.#speech(last);
  }

  [Symbol.dispose](): void {
    this.#detector[Symbol.dispose]();
  }

  #speech(span: Span): Speech {
    const start = span.start * FRAME;
    const end = Math.min(span.end * FRAME, this.#base + this.#length);
    const samples = this.#samples.slice(start - this.#base, end - this.#base);
    return { start, end, speech: Math.min(span.speech * FRAME, end - start), samples };
  }

  #append(samples: Int16Array): void {
    if (this.#length + samples.length > this.#samples.length) {
      const done = Math.min(this.#segmenter.needed * FRAME - this.#base, this.#length);
      this.#samples.copyWithin(0, done, this.#length);
      this.#base += done;
      this.#length -= done;
    }
    if (this.#length + samples.length > this.#samples.length) {
      const larger = new Int16Array(2 * (this.#length + samples.length));
      larger.set(this.#samples.subarray(0, this.#length));
      this.#samples = larger;
    }
    this.#samples.set(samples, this.#length);
    this.#length += samples.length;
  }
}
