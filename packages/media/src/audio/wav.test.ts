import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { badAudio, decodeWav, encodeWav } from './wav.ts';

const chunk = (id: string, body: Buffer, size = body.length) => {
  const head = Buffer.alloc(8);
  head.write(id, 'latin1');
  head.writeUInt32LE(size, 4);
  return Buffer.concat([head, body, Buffer.alloc(body.length % 2)]);
};
const riff = (...chunks: Buffer[]) => {
  const body = Buffer.concat([Buffer.from('WAVE'), ...chunks]);
  return chunk('RIFF', body);
};
const format = (tag: number, channels: number, rate: number, bits: number, align = (channels * bits) / 8) => {
  const b = Buffer.alloc(16);
  b.writeUInt16LE(tag, 0);
  b.writeUInt16LE(channels, 2);
  b.writeUInt32LE(rate, 4);
  b.writeUInt32LE(rate * align, 8);
  b.writeUInt16LE(align, 12);
  b.writeUInt16LE(bits, 14);
  return b;
};
const extensible = (
  tag: number,
  channels: number,
  rate: number,
  bits: number,
  tail = '000000001000800000aa00389b71',
) => {
  const b = Buffer.alloc(40);
  format(0xfffe, channels, rate, bits).copy(b);
  b.writeUInt16LE(22, 16);
  b.writeUInt16LE(bits, 18);
  b.writeUInt16LE(tag, 24);
  Buffer.from(tail, 'hex').copy(b, 26);
  return b;
};

const samplesOf = (wav: Uint8Array) => [...decodeWav(wav)].flatMap((b) => [...b.samples]);
const refused = (message: RegExp) =>
  expect.objectContaining({ status: 400, code: 'invalid_audio', message: expect.stringMatching(message) });

/** Values −1, −½, 0, ½ in each encoding. */
const VALUES = [-1, -0.5, 0, 0.5];
const encodings: [string, number, number, (b: Buffer, v: number, at: number) => void][] = [
  ['PCM 8', 1, 8, (b, v, at) => b.writeUInt8(v * 128 + 128, at)],
  ['PCM 16', 1, 16, (b, v, at) => b.writeInt16LE(v * 2 ** 15, at)],
  ['PCM 24', 1, 24, (b, v, at) => b.writeIntLE(v * 2 ** 23, at, 3)],
  ['PCM 32', 1, 32, (b, v, at) => b.writeInt32LE(v * 2 ** 31, at)],
  ['float 32', 3, 32, (b, v, at) => b.writeFloatLE(v, at)],
  ['float 64', 3, 64, (b, v, at) => b.writeDoubleLE(v, at)],
];
const data = (bits: number, write: (b: Buffer, v: number, at: number) => void, values = VALUES) => {
  const b = Buffer.alloc((values.length * bits) / 8);
  for (const [i, v] of values.entries()) write(b, v, (i * bits) / 8);
  return chunk('data', b);
};

describe('decodeWav', () => {
  it.each(encodings)('reads %s, plain and extensible', (_, tag, bits, write) => {
    for (const head of [format(tag, 1, 8_000, bits), extensible(tag, 1, 8_000, bits)])
      expect(samplesOf(riff(chunk('fmt ', head), data(bits, write)))).toEqual(VALUES);
    // Two channels become their mean.
    expect(samplesOf(riff(chunk('fmt ', format(tag, 2, 8_000, bits)), data(bits, write)))).toEqual([-0.75, 0.25]);
  });

  it('skips chunks it does not know, odd ones too, and takes a stream’s open size', () => {
    const fmt = chunk('fmt ', format(1, 1, 8_000, 8));
    const sound = Buffer.from([0, 128]);
    expect(
      samplesOf(riff(chunk('LIST', Buffer.from('odd')), fmt, chunk('fact', Buffer.alloc(4)), chunk('data', sound))),
    ).toEqual([-1, 0]);
    expect(samplesOf(riff(fmt, chunk('data', sound, 0xffff_ffff)))).toEqual([-1, 0]);
  });

  it.each([
    ['nothing', Buffer.alloc(0), /no WAV/],
    ['another file', Buffer.from('RIFFxxxxAVI LIST'), /no WAV/],
    ['a bare header', riff(), /before the sound/],
    ['half a header', riff(chunk('fmt ', format(1, 1, 8_000, 16))).subarray(0, 30), /before the sound/],
    ['sound without a format', riff(chunk('data', Buffer.alloc(8))), /how the sound is stored/],
    ['no sound', riff(chunk('fmt ', format(1, 1, 8_000, 16)), chunk('data', Buffer.alloc(0))), /empty/],
    ['half a frame', riff(chunk('fmt ', format(1, 2, 8_000, 16)), chunk('data', Buffer.alloc(3))), /empty/],
    [
      'a size that lies',
      riff(chunk('fmt ', format(1, 1, 8_000, 16)), chunk('data', Buffer.alloc(8), 9_000)),
      /promises 9000 bytes of sound, 8 are there/,
    ],
    ['0 Hz', riff(chunk('fmt ', format(1, 1, 0, 16)), chunk('data', Buffer.alloc(8))), /0 Hz/],
    ['4 GHz', riff(chunk('fmt ', format(1, 1, 2 ** 31, 8)), chunk('data', Buffer.alloc(8))), /sample rate/],
    ['0 channels', riff(chunk('fmt ', format(1, 0, 8_000, 16)), chunk('data', Buffer.alloc(8))), /no channels/],
    ['12 bits', riff(chunk('fmt ', format(1, 1, 8_000, 12, 2)), chunk('data', Buffer.alloc(8))), /12 bits/],
    ['ADPCM', riff(chunk('fmt ', format(2, 1, 8_000, 4, 1)), chunk('data', Buffer.alloc(8))), /format 2/],
    [
      'an unknown subformat',
      riff(chunk('fmt ', extensible(1, 1, 8_000, 16, 'ff'.repeat(14))), chunk('data', Buffer.alloc(8))),
      /format 0/,
    ],
    [
      'a wrong block size',
      riff(chunk('fmt ', format(1, 2, 8_000, 16, 1)), chunk('data', Buffer.alloc(8))),
      /contradicts/,
    ],
    [
      'NaN',
      riff(
        chunk('fmt ', format(3, 1, 8_000, 32)),
        data(32, (b, v, at) => b.writeFloatLE(v, at), [0, Number.NaN]),
      ),
      /not numbers/,
    ],
    [
      'infinity',
      riff(
        chunk('fmt ', format(3, 1, 8_000, 64)),
        data(64, (b, v, at) => b.writeDoubleLE(v, at), [-Infinity]),
      ),
      /not numbers/,
    ],
  ])('refuses %s', (_, wav, message) => {
    expect(() => samplesOf(wav)).toThrow(refused(message));
  });

  it('reads back what encodeWav wrote', () => {
    fc.assert(
      fc.property(
        fc.array(fc.int16Array({ minLength: 1, maxLength: 50 }), { minLength: 1, maxLength: 4 }),
        (pieces) => {
          const wav = encodeWav(pieces, 16_000);
          expect([...decodeWav(wav)][0]?.rate).toBe(16_000);
          expect(samplesOf(wav).map((v) => v * 32_768)).toEqual(pieces.flatMap((p) => [...p]));
        },
      ),
    );
  });

  it('answers any bytes with samples or a RequestError', () => {
    const good = riff(chunk('fmt ', extensible(1, 2, 8_000, 16)), chunk('data', Buffer.alloc(64)));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 6 }),
        fc.nat(good.length),
        (flips, length) => {
          const bytes = Buffer.from(good);
          for (const [at, value] of flips) bytes[at] = value;
          try {
            for (const v of samplesOf(bytes.subarray(0, length))) expect(Math.abs(v)).toBeLessThanOrEqual(1);
          } catch (error) {
            expect(error).toBeInstanceOf(badAudio('').constructor);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
