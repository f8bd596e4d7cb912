import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { prepareAudio } from './prepare-audio.ts';
import { decodeWav, encodeWav } from './wav.ts';

/**
 * Made with FFmpeg 9: `-f lavfi -i sine=frequency=1000:duration=1:sample_rate=48000 -af volume=12dB`, a 1 kHz tone of
 * half full scale, in the containers and codecs of the names (the two FLACs last a quarter of a second).
 */
const fixture = (name: string) => readFileSync(new URL(`./fixtures/${name}`, import.meta.url));

const options = { maxSeconds: 60 };
const error = (code: string, message = /./) =>
  expect.objectContaining({ name: 'RequestError', status: 400, code, message: expect.stringMatching(message) });
const tone = (seconds: number, rate: number) =>
  Int16Array.from({ length: seconds * rate }, (_, n) => 16_000 * Math.sin((2 * Math.PI * 1_000 * n) / rate));

const samplesOf = (wav: Uint8Array) => Float32Array.from([...decodeWav(wav)].flatMap((b) => [...b.samples]));

/** Share of the power that lies at 1 kHz, by projection on sine and cosine. */
function purity(samples: Float32Array): number {
  let power = 0;
  let sine = 0;
  let cosine = 0;
  samples.forEach((v, n) => {
    const phase = (2 * Math.PI * 1_000 * n) / 16_000;
    power += v * v;
    sine += v * Math.sin(phase);
    cosine += v * Math.cos(phase);
  });
  return (2 * (sine ** 2 + cosine ** 2)) / samples.length / power;
}

describe('prepareAudio', () => {
  it.each([
    ['tone-mono.mp3', 1],
    ['tone-stereo.mp3', 1],
    ['tone-22050.mp3', 1],
    ['tone.flac', 0.25],
    ['tone-flac.ogg', 0.25],
    ['tone-vorbis.ogg', 1],
    ['tone.opus', 1],
  ])('takes %s', async (name, wanted) => {
    const { data, seconds } = await prepareAudio(fixture(name), options);
    expect(seconds).toBeCloseTo(wanted, 2);
    const samples = samplesOf(data);
    expect(samples).toHaveLength(seconds * 16_000);
    expect([...decodeWav(data)][0]?.rate).toBe(16_000);
    // Opus in its speech mode colours the tone, in FFmpeg's decoder too.
    expect(purity(samples.subarray(800, -800))).toBeGreaterThan(name === 'tone.opus' ? 0.97 : 0.995);
    expect(Math.max(...samples)).toBeGreaterThan(0.3);
  });

  it('takes WAV, and leaves what is already right as it is', async () => {
    const right = encodeWav([tone(1, 16_000)], 16_000);
    expect(Buffer.compare((await prepareAudio(right, options)).data, right)).toBe(0);
    // The caller's bytes are still the caller's.
    expect(right).toHaveLength(44 + 32_000);
    const { data, seconds } = await prepareAudio(encodeWav([tone(1, 44_100)], 44_100), options);
    expect(seconds).toBe(1);
    expect(purity(samplesOf(data).subarray(800, -800))).toBeGreaterThan(0.9999);
  });

  it('bounds the length of what comes out, whatever the header says', async () => {
    await expect(prepareAudio(encodeWav([tone(3, 8_000)], 8_000), { maxSeconds: 2 })).rejects.toEqual(
      error('audio_too_long', /2 s/),
    );
    await expect(prepareAudio(encodeWav([new Int16Array(100_000)], 1), options)).rejects.toEqual(
      error('audio_too_long'),
    );
    await expect(prepareAudio(fixture('tone.opus'), { maxSeconds: 0.5 })).rejects.toEqual(error('audio_too_long'));
  });

  it('names what it takes when it gets something else', async () => {
    for (const name of ['tone.m4a', 'tone.webm'])
      await expect(prepareAudio(fixture(name), options)).rejects.toEqual(error('unsupported_audio', /WAV, MP3, FLAC/));
    await expect(prepareAudio(Buffer.from('hello'), options)).rejects.toEqual(error('unsupported_audio', /unknown/));
    await expect(prepareAudio(new Uint8Array(), options)).rejects.toEqual(error('invalid_audio', /empty/));
    await expect(prepareAudio(encodeWav([], 16_000), options)).rejects.toEqual(error('invalid_audio', /empty/));
  });

  it('stops when told to, and works afterwards', async () => {
    const reason = new Error('cancelled');
    const abort = new AbortController();
    const running = prepareAudio(encodeWav([new Int16Array(48_000 * 60)], 48_000), {
      maxSeconds: 90,
      signal: abort.signal,
    });
    setTimeout(() => abort.abort(reason), 20);
    await expect(running).rejects.toBe(reason);
    expect((await prepareAudio(fixture('tone.opus'), options)).seconds).toBe(1);
  });

  it('leaves the work to other threads', async () => {
    // Not the clock: the machine may be busy with something else.
    const [all, own] = [process.cpuUsage(), process.threadCpuUsage()];
    await prepareAudio(encodeWav([new Int16Array(48_000 * 60)], 48_000), options);
    const [allUsed, ownUsed] = [process.cpuUsage(all), process.threadCpuUsage(own)];
    expect(allUsed.user).toBeGreaterThan(100_000);
    expect(ownUsed.user).toBeLessThan(allUsed.user / 3);
  });

  it('answers damaged recordings with sound or a RequestError', async () => {
    const names = ['tone-mono.mp3', 'tone.flac', 'tone-flac.ogg', 'tone-vorbis.ogg', 'tone.opus'];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...names),
        fc.array(fc.tuple(fc.nat(40_000), fc.nat(255)), { maxLength: 10 }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        async (name, flips, share) => {
          const bytes = Buffer.from(fixture(name));
          for (const [at, value] of flips) bytes[at % bytes.length] = value;
          const result = await prepareAudio(bytes.subarray(0, Math.ceil(share * bytes.length)), options).catch(
            (e: unknown) => e,
          );
          if ('seconds' in Object(result)) expect(result).toMatchObject({ seconds: expect.any(Number) });
          else expect(result).toEqual(error(expect.stringMatching(/^(invalid|unsupported)_audio$|^audio_too_long$/)));
        },
      ),
      { numRuns: 60 },
    );
  });
});
