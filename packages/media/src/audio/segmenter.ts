import type { Heard } from './voice.ts';

/** A stretch of a recording, in frames: `start` belongs to it, `end` does not. */
export interface Span {
  start: number;
  end: number;
  /** Frames of speech in it. */
  speech: number;
}

/** Frames (200 ms) kept before and after speech: detectors wake a little late, and breath belongs to a word. */
const MARGIN = 10;
/** Frames (2 s) that a chunk may at least have. */
const SHORTEST = 100;
/** Frames (100 ms) that make a silence to cut in; shorter ones lie inside of words. */
const GAP = 5;

/**
 * Finds where to cut a recording into chunks that hold all its speech, each frame of speech in exactly one. Speech is
 * joined with what follows until a pause or until a chunk would be longer than `maxFrames`; then it ends in the
 * longest silence of its later half, or, if nobody paused there, before the quietest frame of its last quarter.
 */
export class Segmenter {
  readonly #maxFrames: number;
  readonly #pauseFrames: number;
  /** Frames from number `#base` on: those of the open chunk, or the last few, which may become the margin of the next. */
  #frames: Heard[] = [];
  #base = 0;
  /** The open chunk's first frame, and the one after its last speech; `null` in silence. */
  #open: { start: number; spoken: number } | null = null;

  /**
   * @param maxFrames at least 100, which is 2 s.
   * @param pauseFrames silence that ends a chunk though more would fit: at least 20, so that both sides have their margin.
   */
  constructor(maxFrames: number, pauseFrames: number) {
    if (maxFrames < SHORTEST) throw new RangeError(`chunks of ${maxFrames} frames are too short`);
    if (pauseFrames < 2 * MARGIN) throw new RangeError(`a pause of ${pauseFrames} frames is too short`);
    this.#maxFrames = maxFrames;
    this.#pauseFrames = pauseFrames;
  }

  /** The first frame that a span to come can hold. */
  get needed(): number {
    return this.#base;
  }

  /** Takes the next frame; gives the chunk that has ended with it, if one has. */
  push(frame: Heard): Span | null {
    this.#frames.push(frame);
    const now = this.#base + this.#frames.length;
    if (frame.speech) {
      this.#open ??= { start: Math.max(this.#base, now - 1 - MARGIN), spoken: now };
      this.#open.spoken = now;
    }
    if (this.#open === null) {
      this.#forget(now - MARGIN);
      return null;
    }
    const { start, spoken } = this.#open;
    if (now - spoken >= this.#pauseFrames) return this.#close(start, spoken + MARGIN);
    if (now - start >= this.#maxFrames) return this.#cut(start, now);
    return null;
  }

  /** The last chunk, if one is open when the recording has ended. */
  flush(): Span | null {
    if (this.#open === null) return null;
    const now = this.#base + this.#frames.length;
    return this.#close(this.#open.start, Math.min(now, this.#open.spoken + MARGIN));
  }

  #close(start: number, end: number): Span {
    const speech = this.#frames.slice(start - this.#base, end - this.#base).filter((f) => f.speech).length;
    this.#open = null;
    this.#forget(end);
    // What lies behind the cut is looked at again, as the beginning of a chunk: it is shorter than half of one.
    const rest = this.#frames;
    this.#frames = [];
    for (const frame of rest) this.push(frame);
    return { start, end, speech };
  }

  /** Ends a chunk that has become as long as it may. */
  #cut(start: number, now: number): Span {
    const silence = this.#longestSilence(start + Math.ceil(this.#maxFrames / 2), now);
    if (silence !== null) {
      // A silence too short for both margins is shared by both sides.
      const margin = Math.min(MARGIN, Math.ceil((silence.end - silence.start) / 2));
      return this.#close(start, silence.start + margin);
    }
    let quietest = now - 1;
    for (let at = now - 2; at >= start + Math.ceil((this.#maxFrames * 3) / 4); at--)
      if (this.#level(at) < this.#level(quietest)) quietest = at;
    return this.#close(start, quietest);
  }

  /** The longest silence that ends after `from`; of equals the later. */
  #longestSilence(from: number, now: number): { start: number; end: number } | null {
    let longest: { start: number; end: number } | null = null;
    let end = now;
    for (let at = now - 1; at >= this.#base && end > from; at--) {
      if (this.#frames[at - this.#base]?.speech !== true) continue;
      const start = at + 1;
      if (end - start >= GAP && (longest === null || end - start > longest.end - longest.start))
        longest = { start, end };
      end = at;
    }
    return longest;
  }

  #level(at: number): number {
    return this.#frames[at - this.#base]?.level ?? 0;
  }

  #forget(before: number): void {
    const n = Math.min(this.#frames.length, before - this.#base);
    if (n <= 0) return;
    this.#frames.splice(0, n);
    this.#base += n;
  }
}
