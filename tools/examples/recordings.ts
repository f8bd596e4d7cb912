import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Decoder, Demuxer, Encoder, Muxer, pipeline } from 'node-av/api';
import { FF_ENCODER_LIBOPUS } from 'node-av/constants';
import { pick, randomFrom } from './random.ts';
import { sentence } from './sentences.ts';

const run = promisify(execFile);

/** Voices and speeds (words a minute) that the model that ships was not trained on. */
const VOICES = ['en-us+f4', 'en+m4', 'en-gb-x-rp+m5', 'en-gb-scotland+belinda', 'en-us-nyc+f4', 'en-gb-x-gbclan'];
const SPEEDS = [135, 160, 185];
const RATE = 16_000;

interface Spoken {
  text: string;
  /** 16-bit samples, mono, 16 kHz. */
  samples: Int16Array;
}

/**
 * The recordings of `examples/audio`, each with what is said in a text file beside it: a sentence, about ten minutes of
 * sentences with pauses of all lengths between, and a call with one speaker on each channel.
 */
export async function makeRecordings(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(join(tmpdir(), 'batchmill-examples-'));
  try {
    const one = await speak(work, 'the doctor visited my sister on Monday', VOICES[0] ?? '', 160);
    await save(work, join(folder, 'sentence'), [[one.samples]], [one.text]);
    await makeLong(work, join(folder, 'ten-minutes'));
    await makeCall(work, join(folder, 'call'));
  } finally {
    await rm(work, { recursive: true });
  }
}

async function makeLong(work: string, path: string): Promise<void> {
  const random = randomFrom(4);
  const parts: Int16Array[] = [silence(1.2)];
  const texts: string[] = [];
  for (let samples = 0; samples < 600 * RATE; ) {
    const said = await speak(work, sentence(random), pick(random, VOICES), pick(random, SPEEDS));
    // Mostly as people pause between sentences; now and then nobody speaks for long.
    const pause = silence(random() < 0.06 ? 4 + random() * 8 : 0.5 + random() * 1.5);
    parts.push(said.samples, pause);
    texts.push(said.text);
    samples += said.samples.length + pause.length;
  }
  await save(work, path, [parts], texts);
}

/** They take turns: while one speaks the other is silent. */
async function makeCall(work: string, path: string): Promise<void> {
  const random = randomFrom(11);
  const left: Int16Array[] = [];
  const right: Int16Array[] = [];
  const texts: string[] = [];
  for (let turn = 0; turn < 8; turn++) {
    const agent = turn % 2 === 0;
    const said = await speak(work, sentence(random), (agent ? VOICES[1] : VOICES[3]) ?? '', 160);
    const pause = silence(0.7);
    (agent ? left : right).push(said.samples, pause);
    (agent ? right : left).push(new Int16Array(said.samples.length), pause);
    texts.push(`${agent ? 'agent' : 'customer'}: ${said.text}`);
  }
  await save(work, path, [left, right], texts);
}

/** Says it with espeak-ng. */
async function speak(work: string, text: string, voice: string, speed: number): Promise<Spoken> {
  const wav = join(work, 'spoken.wav');
  await run('espeak-ng', ['-v', voice, '-s', String(speed), '-w', wav, text]);
  // -D: no random dither, so that the same bytes come out each time.
  const { stdout } = await run(
    'sox',
    ['-D', wav, '-t', 'raw', '-e', 'signed', '-b', '16', '-r', `${RATE}`, '-c', '1', '-'],
    {
      encoding: 'buffer',
      maxBuffer: 2 ** 26,
    },
  );
  return { text, samples: new Int16Array(stdout.buffer.slice(stdout.byteOffset, stdout.byteOffset + stdout.length)) };
}

function silence(seconds: number): Int16Array {
  return new Int16Array(Math.round(seconds * RATE));
}

/** Writes `<path>.ogg`, each channel its parts one after the other, and `<path>.txt`. */
async function save(work: string, path: string, channels: readonly Int16Array[][], texts: string[]): Promise<void> {
  const lengths = channels.map((parts) => parts.reduce((sum, part) => sum + part.length, 0));
  const samples = new Int16Array(Math.max(...lengths) * channels.length);
  for (const [channel, parts] of channels.entries()) {
    let at = channel;
    for (const part of parts)
      for (const value of part) {
        samples[at] = value;
        at += channels.length;
      }
  }
  const raw = join(work, 'samples.raw');
  const wav = join(work, 'samples.wav');
  await writeFile(raw, new Uint8Array(samples.buffer));
  await run('sox', [
    '-D',
    '-t',
    'raw',
    '-e',
    'signed',
    '-b',
    '16',
    '-r',
    `${RATE}`,
    '-c',
    `${channels.length}`,
    raw,
    wav,
  ]);
  await toOpus(wav, `${path}.ogg`, channels.length);
  await writeFile(`${path}.txt`, `${texts.join('\n')}\n`);
}

/** As Opus in Ogg, for speech, small. */
async function toOpus(wav: string, ogg: string, channels: number): Promise<void> {
  await using input = await Demuxer.open(wav);
  const stream = input.audio();
  if (stream === undefined) throw new Error(`There is no sound in ${wav}.`);
  using decoder = await Decoder.create(stream);
  using encoder = await Encoder.create(FF_ENCODER_LIBOPUS, {
    decoder,
    context: { bitRate: channels * 16_000 },
    options: { application: 'voip', frame_duration: 60 },
  });
  // Bit-exact: the serial number of the stream is not random.
  await using output = await Muxer.open(ogg, { input, options: { fflags: 'bitexact' } });
  await pipeline(input, decoder, encoder, output).completion;
}
