/** Sample rate of what the engine hears, in Hz. */
export const ENGINE_RATE = 16_000;

/** Half the filter's length, in zero crossings of the sinc. */
const CROSSINGS = 32;
/** Kaiser window: side lobes at −85 dB. */
const BETA = 8.3;
/** Cutoff as a share of the lower Nyquist frequency: the transition ends just above it (16 kHz: 6.8 kHz pass, 8 kHz stop). */
const ROLLOFF = 0.925;

/** Highest input rate; the filter table of an awkward one would be larger than is sensible. */
export const MAX_RATE = 384_000;

/**
 * Resamples mono audio to 16 kHz in a stream: a polyphase FIR filter, a Kaiser-windowed sinc, which keeps what is above
 * the new Nyquist frequency from folding down. The output is not delayed, and n samples in give ⌈n · 16,000 / rate⌉ out.
 */
export class Resampler {
  readonly #step: number;
  readonly #phases: number;
  readonly #taps: number;
  readonly #table: Float32Array;
  /** Input that the filter still needs; `#buffer[0]` is the input sample number `#start`. */
  #buffer: Float32Array;
  #length: number;
  #start: number;
  #received = 0;
  #produced = 0;

  /** @param rate of the input in Hz, a whole number from 1 to `MAX_RATE`. */
  constructor(rate: number) {
    const divisor = gcd(rate, ENGINE_RATE);
    this.#phases = ENGINE_RATE / divisor;
    this.#step = rate / divisor;
    const half = 2 * Math.ceil((CROSSINGS / 2) * Math.max(1, rate / ENGINE_RATE));
    this.#taps = 2 * half;
    this.#table = kernel(this.#phases, half, Math.min(1, ENGINE_RATE / rate) * ROLLOFF);
    // Silence before the first sample stands for what the filter would have heard.
    this.#buffer = new Float32Array(this.#taps);
    this.#length = half;
    this.#start = -half;
  }

  push(input: Float32Array): Float32Array {
    this.#received += input.length;
    this.#append(input);
    return this.#drain(Number.POSITIVE_INFINITY);
  }

  /** What is left when the input has ended. The resampler is of no use afterwards. */
  flush(): Float32Array {
    const total = Math.ceil((this.#received * this.#phases) / this.#step);
    this.#append(new Float32Array(this.#taps));
    return this.#drain(total);
  }

  #append(input: Float32Array): void {
    const needed = this.#length + input.length;
    if (needed > this.#buffer.length) {
      const larger = new Float32Array(2 * needed);
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    this.#buffer.set(input, this.#length);
    this.#length = needed;
  }

  #drain(total: number): Float32Array {
    const taps = this.#taps;
    const half = taps / 2;
    // Output n lies at input time n · step / phases and needs the inputs ⌊time⌋ − half + 1 … ⌊time⌋ + half.
    const lastTime = this.#start + this.#length - 1 - half;
    const end = Math.min(total, Math.ceil(((lastTime + 1) * this.#phases) / this.#step));
    const output = new Float32Array(Math.max(0, end - this.#produced));
    const buffer = this.#buffer;
    const table = this.#table;
    for (let i = 0; i < output.length; i++) {
      const position = (this.#produced + i) * this.#step;
      const time = Math.floor(position / this.#phases);
      const row = (position - time * this.#phases) * taps;
      const first = time - half + 1 - this.#start;
      // Four sums, so that no addition has to wait for the one before it.
      let a = 0;
      let b = 0;
      let c = 0;
      let d = 0;
      for (let k = 0; k < taps; k += 4) {
        a += (table[row + k] ?? 0) * (buffer[first + k] ?? 0);
        b += (table[row + k + 1] ?? 0) * (buffer[first + k + 1] ?? 0);
        c += (table[row + k + 2] ?? 0) * (buffer[first + k + 2] ?? 0);
        d += (table[row + k + 3] ?? 0) * (buffer[first + k + 3] ?? 0);
      }
      output[i] = a + b + c + d;
    }
    this.#produced += output.length;
    const next = Math.floor((this.#produced * this.#step) / this.#phases) - half + 1;
    const done = Math.min(this.#length, Math.max(0, next - this.#start));
    buffer.copyWithin(0, done, this.#length);
    this.#length -= done;
    this.#start += done;
    return output;
  }
}

/** One row of taps per phase, each with sum 1 so that a constant stays exactly that constant. */
function kernel(phases: number, half: number, cutoff: number): Float32Array {
  const taps = 2 * half;
  const table = new Float32Array(phases * taps);
  const row = new Float64Array(taps);
  for (let phase = 0; phase < phases; phase++) {
    let sum = 0;
    for (let k = 0; k < taps; k++) {
      const distance = k - half + 1 - phase / phases;
      const x = Math.PI * cutoff * distance;
      const window = bessel(BETA * Math.sqrt(Math.max(0, 1 - (distance / half) ** 2)));
      const value = (x === 0 ? 1 : Math.sin(x) / x) * window;
      row[k] = value;
      sum += value;
    }
    for (let k = 0; k < taps; k++) table[phase * taps + k] = (row[k] ?? 0) / sum;
  }
  return table;
}

/** Modified Bessel function of the first kind, order 0, by its power series. */
function bessel(x: number): number {
  let term = 1;
  let sum = 1;
  for (let n = 1; term > sum * 1e-12; n++) {
    term *= (x / (2 * n)) ** 2;
    sum += term;
  }
  return sum;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
