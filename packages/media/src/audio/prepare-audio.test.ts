import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { prepareAudio } from './prepare-audio.ts';
import { encodeWav } from './wav.ts';

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

/** Of a WAV file as `prepareAudio` makes it. */
const samplesOf = (wav: Uint8Array) => Float32Array.from(new Int16Array(wav.slice(44).buffer), (v) => v / 2 ** 15);

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

/** Processor time of the child processes that live, in hundredths of a second: fields 14 and 15 of proc_pid_stat(5). */
async function ticksOfChildren(): Promise<number> {
  const children = await readFile(`/proc/self/task/${process.pid}/children`, 'utf8');
  const stats = children
    .split(' ')
    .filter(Boolean)
    .map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ''));
  const fields = (await Promise.all(stats)).map((stat) => stat.slice(stat.lastIndexOf(')') + 2).split(' '));
  return fields.reduce((sum, field) => sum + Number(field[11] ?? 0) + Number(field[12] ?? 0), 0);
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
    ['tone.m4a', 1],
    ['tone.webm', 1],
  ])('takes %s', async (name, wanted) => {
    const { data, seconds } = await prepareAudio(fixture(name), options);
    expect(seconds).toBeCloseTo(wanted, 2);
    const samples = samplesOf(data);
    expect(samples).toHaveLength(seconds * 16_000);
    const header = Buffer.from(data.slice(0, 44));
    expect([header.toString('latin1', 0, 4), header.toString('latin1', 8, 16)]).toEqual(['RIFF', 'WAVEfmt ']);
    // PCM, mono, 16 kHz, 16 bits.
    expect([20, 22, 24, 34].map((at) => header.readUInt16LE(at))).toEqual([1, 1, 16_000, 16]);
    expect(header.readUInt32LE(40)).toBe(data.length - 44);
    // Opus in its speech mode and AAC colour the tone; FFmpeg's own command gives the same samples.
    const clean = /opus|webm|m4a/.test(name) ? 0.9 : 0.995;
    expect(purity(samples.subarray(800, -800))).toBeGreaterThan(clean);
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

  it('goes on when a stream changes its rate and its channels midway', async () => {
    const joined = Buffer.concat(['tone-22050.mp3', 'tone-stereo.mp3', 'tone-mono.mp3'].map(fixture));
    const { data, seconds } = await prepareAudio(joined, options);
    expect(seconds).toBeGreaterThan(2.9);
    expect(seconds).toBeLessThan(3.3);
    for (const at of [0.2, 1.3, 2.4])
      expect(purity(samplesOf(data).subarray(at * 16_000, (at + 0.5) * 16_000)), `${at}`).toBeGreaterThan(0.99);
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

  it('says what is wrong with what it cannot take', async () => {
    await expect(prepareAudio(Buffer.from('hello'), options)).rejects.toEqual(error('unsupported_audio', /format/));
    await expect(prepareAudio(fixture('silent-film.mp4'), options)).rejects.toEqual(error('no_audio'));
    await expect(prepareAudio(new Uint8Array(), options)).rejects.toEqual(error('invalid_audio', /empty/));
    await expect(prepareAudio(encodeWav([], 16_000), options)).rejects.toEqual(error('invalid_audio', /no sound/));
  });

  it('says so if a recording is cut off', async () => {
    const wav = encodeWav([tone(4, 16_000)], 16_000);
    await expect(prepareAudio(wav.subarray(0, wav.length / 2), options)).rejects.toEqual(
      error('invalid_audio', /2\.0 s/),
    );
    const flac = fixture('tone.flac');
    expect((await prepareAudio(flac, options)).seconds).toBe(0.25);
    const m4a = fixture('speech.m4a');
    // Its index is at its end.
    await expect(prepareAudio(m4a.subarray(0, -20_000), options)).rejects.toMatchObject({ status: 400 });
  });

  it('leaves no file behind', async () => {
    const own = async () => (await readdir(tmpdir())).filter((name) => name.startsWith('batchmill-recording-'));
    const before = await own();
    await prepareAudio(fixture('tone.m4a'), options);
    await prepareAudio(fixture('silent-film.mp4'), options).catch(() => {});
    expect((await own()).filter((name) => !before.includes(name))).toEqual([]);
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

  it('leaves the work to other processes', async () => {
    const minutes = encodeWav([new Int16Array(48_000 * 60 * 10)], 48_000);
    const before = await ticksOfChildren();
    await prepareAudio(minutes, { maxSeconds: 1_000 });
    // Ten minutes take a tenth of a second on any machine; without the processes it would be nothing.
    expect((await ticksOfChildren()) - before).toBeGreaterThan(10);
  });

  it('answers damaged recordings with sound or a RequestError', async () => {
    const names = [
      'tone-mono.mp3',
      'tone.flac',
      'tone-flac.ogg',
      'tone-vorbis.ogg',
      'tone.m4a',
      'speech.webm',
      'speech.amr',
    ];
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
          else
            expect(result).toEqual(error(expect.stringMatching(/^(invalid|unsupported|no)_audio$|^audio_too_long$/)));
        },
      ),
      { numRuns: 60 },
    );
  });
});
