import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { speechChunks } from '@batchmill/media';
import { Decoder, Demuxer, Encoder, Muxer, pipeline } from 'node-av/api';
import { FF_ENCODER_LIBMP3LAME } from 'node-av/constants';
import { z } from 'zod';
import { measured } from './memory.ts';

/**
 * Preparing recordings, alone: how many seconds of a long MP3 are decoded, resampled, searched for speech and cut in
 * a second, and the most memory that the process that asks and the one that decodes take together (what they share
 * counts twice). The recording is the ten minutes of `examples/audio`, over and over.
 */
export async function audioFigures(options: {
  quick: boolean;
}): Promise<{ audio_x_realtime: number; peak_rss_mb: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'batchmill-bench-'));
  try {
    const path = join(folder, 'long.mp3');
    await makeLong(path, options.quick ? 3 : 24);
    const { found, peak } = await measured(fileURLToPath(import.meta.url), [path], foundSchema);
    process.stderr.write(
      `${(found.seconds / 3_600).toFixed(2)} h of MP3 (${found.chunks} chunks, ${found.speechSeconds.toFixed(0)} s of speech) in ${found.took.toFixed(1)} s, at most ${(peak / 1e6).toFixed(0)} MB\n`,
    );
    return {
      audio_x_realtime: Math.round(found.seconds / found.took),
      peak_rss_mb: Math.round(peak / 1e6),
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** MP3 has no head: ten minutes put behind themselves are a valid file. */
async function makeLong(path: string, times: number): Promise<void> {
  const once = `${path}.once.mp3`;
  {
    await using input = await Demuxer.open(
      fileURLToPath(new URL('../examples/audio/ten-minutes.ogg', import.meta.url)),
    );
    const stream = input.audio();
    if (stream === undefined) throw new Error('There is no sound in the example.');
    using decoder = await Decoder.create(stream);
    using encoder = await Encoder.create(FF_ENCODER_LIBMP3LAME, {
      decoder,
      autoResample: true,
      context: { bitRate: 128_000 },
    });
    await using output = await Muxer.open(once, { input, options: { write_xing: 0, id3v2_version: 0 } });
    await pipeline(input, decoder, encoder, output).completion;
  }
  const bytes = await readFile(once);
  const file = await open(path, 'w');
  for (let i = 0; i < times; i++) await file.write(bytes);
  await file.close();
}

const foundSchema = z.object({
  seconds: z.number(),
  speechSeconds: z.number(),
  chunks: z.number(),
  took: z.number(),
});
type Found = z.infer<typeof foundSchema>;

/** As a worker does it, without the engine: each chunk is let go at once. */
async function cut(path: string): Promise<Found> {
  const started = performance.now();
  const chunks = speechChunks(path, {
    maxChunkSeconds: 28,
    channels: 'mix',
    maxSeconds: 86_400,
    signal: new AbortController().signal,
  });
  for (let count = 0; ; count++) {
    const { done, value } = await chunks.next();
    if (done !== true) continue;
    const { seconds, speechSeconds } = value;
    return { seconds, speechSeconds, chunks: count, took: (performance.now() - started) / 1_000 };
  }
}

if (import.meta.main) process.stdout.write(JSON.stringify(await cut(process.argv[2] ?? '')));
