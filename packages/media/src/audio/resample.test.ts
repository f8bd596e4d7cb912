import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ENGINE_RATE, Resampler } from './resample.ts';

const tone = (frequency: number, rate: number, seconds = 1) =>
  Float32Array.from(
    { length: Math.round(rate * seconds) },
    (_, n) => 0.5 * Math.sin((2 * Math.PI * frequency * n) / rate),
  );

/** Feeds the resampler in pieces of these lengths, again and again. */
function resampled(input: Float32Array, rate: number, pieces: number[] = [input.length]): Float32Array {
  const resampler = new Resampler(rate);
  const out: number[] = [];
  for (let at = 0, i = 0; at < input.length; i++) {
    const length = Math.max(1, pieces[i % pieces.length] ?? 1);
    out.push(...resampler.push(input.subarray(at, at + length)));
    at += length;
  }
  out.push(...resampler.flush());
  return Float32Array.from(out);
}

/** Level in decibels relative to the tones above, without the ends where the sound starts and stops. */
function level(samples: Float32Array): number {
  const middle = samples.subarray(samples.length / 4, (samples.length * 3) / 4);
  const power = middle.reduce((sum, v) => sum + v * v, 0) / middle.length;
  return 10 * Math.log10(power / 0.125 + 1e-20);
}

describe('Resampler', () => {
  it.each([8_000, 11_025, 22_050, 24_000, 44_100, 48_000, 96_000, 44_056, 192_000])(
    'keeps a 1 kHz tone from %i Hz as it is',
    (rate) => {
      const out = resampled(tone(1_000, rate), rate);
      expect(out).toHaveLength(ENGINE_RATE);
      const wanted = tone(1_000, ENGINE_RATE);
      for (let n = 200; n < out.length - 200; n++)
        expect(Math.abs((out[n] ?? 9) - (wanted[n] ?? 0))).toBeLessThan(0.001);
    },
  );

  it.each([100, 3_000, 6_500])('keeps the level of %i Hz', (frequency) => {
    expect(Math.abs(level(resampled(tone(frequency, 48_000), 48_000)))).toBeLessThan(0.1);
  });

  it.each([8_200, 10_000, 12_000, 15_900, 20_000])('lets nothing of %i Hz fold down', (frequency) => {
    for (const rate of [44_100, 48_000]) expect(level(resampled(tone(frequency, rate), rate))).toBeLessThan(-75);
  });

  it('adds nothing above the old Nyquist frequency when it raises the rate', () => {
    // Images of a 3 kHz tone at 8 kHz would lie at 5 kHz.
    const out = resampled(tone(3_000, 8_000), 8_000);
    const wanted = tone(3_000, ENGINE_RATE);
    expect(level(out.map((v, n) => v - (wanted[n] ?? 0)))).toBeLessThan(-60);
  });

  it('keeps a constant exactly', () => {
    const out = resampled(new Float32Array(44_100).fill(0.25), 44_100);
    for (const v of out.subarray(100, -100)) expect(v).toBeCloseTo(0.25, 6);
  });

  it('gives the same whatever the pieces, and ⌈n · 16000 / rate⌉ samples', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(8_000, 44_100, 48_000, 12_345, 7),
        fc.nat(3_000),
        fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 5 }),
        (rate, length, pieces) => {
          const input = tone(rate / 20, rate, 1).subarray(0, rate === 7 ? Math.min(length, 7) : length);
          const whole = resampled(input, rate);
          expect(whole).toHaveLength(Math.ceil((input.length * ENGINE_RATE) / rate));
          expect(resampled(input, rate, pieces)).toEqual(whole);
        },
      ),
      { numRuns: 60 },
    );
  });
});
