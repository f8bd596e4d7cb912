import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RecordingBegin } from './decode.ts';
import { runDecoder } from './decoders.ts';
import { type ChunkOptions, type RecordingInfo, type SpeechChunk, speechChunks } from './speech-chunks.ts';
import { encodeWav } from './wav.ts';

/**
 * Two sentences by espeak-ng, in `call.mp3` one on each channel: silence to 1.0 s, speech to 4.8, silence to 8.0, speech
 * to 11.3, silence to 12.4. Encoded by FFmpeg 9. In `video.mp4` the sound begins 2.5 s after the picture; `surround.mka` has
 * six channels, the first sentence on the one in the middle; `silent-film.mp4` has a picture only.
 */
const fixture = (name: string) => new URL(`./fixtures/${name}`, import.meta.url).pathname;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'speech-chunks-'));
});
afterAll(() => rm(folder, { recursive: true }));

const chunksOf = (path: string, options: Partial<ChunkOptions> = {}) =>
  speechChunks(path, {
    maxChunkSeconds: 28,
    channels: 'mix',
    maxSeconds: 3_600,
    signal: new AbortController().signal,
    ...options,
  });

async function all(chunks: AsyncGenerator<SpeechChunk, RecordingInfo>) {
  const found: SpeechChunk[] = [];
  for (;;) {
    const { done, value } = await chunks.next();
    if (done === true) return { chunks: found, info: value };
    found.push(value);
  }
}

async function made(name: string, content: Uint8Array | string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

/** Processes of decoders this process has started. */
function decoders(): number[] {
  return readdirSync('/proc/self/task').flatMap((task) =>
    readFileSync(`/proc/self/task/${task}/children`, 'utf8')
      .split(' ')
      .filter((pid) => pid !== '' && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('decoder-process'))
      .map(Number),
  );
}

const near = (seconds: number) => expect.closeTo(seconds, 0);
const error = (code: string) => expect.objectContaining({ name: 'RequestError', status: 400, code });

describe('speechChunks', () => {
  it.each([
    ['speech.m4a', 1, 0],
    ['speech.webm', 1, 0],
    ['speech.wma', 1, 0],
    ['speech.amr', 1, 0],
    ['call.mp3', 2, 0],
    ['video.mp4', 1, 2.5],
  ])('finds what is said in %s, where it is said', async (name, channels, later) => {
    const { chunks, info } = await all(chunksOf(fixture(name)));
    expect(info).toEqual({
      seconds: expect.closeTo(12.42 + later, 1),
      channels,
      speechSeconds: near(6.7),
      missingSeconds: 0,
    });
    expect(chunks.map((c) => [c.index, c.channel])).toEqual([
      [0, 0],
      [1, 0],
    ]);
    const times = chunks.flatMap((c) => [c.start, c.end]);
    for (const [i, wanted] of [0.8, 4.9, 7.8, 11.4].entries())
      expect(Math.abs((times[i] ?? 0) - wanted - later), `${times}`).toBeLessThan(0.15);
    for (const { data, start, end, speechSeconds } of chunks) {
      expect(data.length).toBe(44 + Math.round((end - start) * 16_000) * 2);
      expect(Math.max(...new Int16Array(data.slice(44).buffer))).toBeGreaterThan(5_000);
      expect(speechSeconds).toBeGreaterThan(2.5);
      expect(speechSeconds).toBeLessThan(end - start);
    }
  });

  it('takes two channels apart, if there are two', async () => {
    const call = await all(chunksOf(fixture('call.mp3'), { channels: 'split' }));
    expect(call.chunks).toEqual([
      expect.objectContaining({ channel: 0, index: 0, start: near(0.8), end: near(4.9) }),
      expect.objectContaining({ channel: 1, index: 0, start: near(7.8), end: near(11.4) }),
    ]);
    const mono = await all(chunksOf(fixture('speech.m4a'), { channels: 'split' }));
    expect(mono.info.channels).toBe(1);
    expect(mono.chunks.map((c) => c.channel)).toEqual([0, 0]);
    // Nobody speaks on the left and the right of a film.
    expect((await all(chunksOf(fixture('surround.mka'), { channels: 'split' }))).chunks).toEqual([]);
    const film = await all(chunksOf(fixture('surround.mka')));
    expect(film.info.channels).toBe(6);
    expect(film.chunks).toEqual([expect.objectContaining({ start: near(0.8), end: near(4.9) })]);
  });

  it('mixes channels nobody named', async () => {
    const said = (await all(chunksOf(fixture('speech.m4a')))).chunks[0];
    const samples = new Int16Array(said?.data.slice(44).buffer ?? new ArrayBuffer());
    const twelve = new Int16Array(samples.length * 12);
    for (const [i, sample] of samples.entries()) twelve[12 * i + 7] = sample;
    const wav = Buffer.from(encodeWav([twelve], 16_000));
    wav.writeUInt16LE(12, 22);
    wav.writeUInt32LE(16_000 * 24, 28);
    wav.writeUInt16LE(24, 32);
    const { chunks, info } = await all(chunksOf(await made('twelve.wav', wav)));
    expect(info).toMatchObject({ channels: 12, seconds: expect.closeTo(samples.length / 16_000, 3) });
    expect(chunks).toHaveLength(1);
  });

  it('keeps chunks as short as it is told, the same each time', async () => {
    const options = { maxChunkSeconds: 2 };
    const first = await all(chunksOf(fixture('speech.webm'), options));
    expect(first.chunks.length).toBeGreaterThan(3);
    for (const [i, chunk] of first.chunks.entries()) {
      expect(chunk.end - chunk.start).toBeLessThanOrEqual(2);
      expect(chunk.start).toBeGreaterThanOrEqual(first.chunks[i - 1]?.end ?? 0);
    }
    expect(await all(chunksOf(fixture('speech.webm'), options))).toEqual(first);
  });

  it('hears no speech in silence and in noise', async () => {
    let seed = 1;
    const random = () => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return seed / 2 ** 31 - 1;
    };
    const seconds = 20 * 16_000;
    const sounds = {
      silence: new Int16Array(seconds),
      noise: Int16Array.from({ length: seconds }, () => 10_000 * random()),
      hum: Int16Array.from(
        { length: seconds },
        (_, n) => 10_000 * Math.sin((2 * Math.PI * 100 * n) / 16_000) + 100 * random(),
      ),
    };
    for (const [name, samples] of Object.entries(sounds)) {
      const path = await made(`${name}.wav`, encodeWav([samples], 16_000));
      expect(await all(chunksOf(path)), name).toEqual({
        chunks: [],
        info: { seconds: 20, channels: 1, speechSeconds: 0, missingSeconds: 0 },
      });
    }
  });

  it('says what is missing of a recording that is cut off', async () => {
    const { chunks } = await all(chunksOf(fixture('speech.m4a')));
    const data = chunks[0]?.data ?? new Uint8Array();
    const { info } = await all(chunksOf(await made('cut.wav', data.subarray(0, data.length - 32_000))));
    expect(info.missingSeconds).toBeCloseTo(1, 1);
  });

  it('says before the first chunk how long it is, be it a guess, and how many channels it has', async () => {
    for (const name of ['speech.m4a', 'call.mp3', 'speech.webm', 'speech.wma']) {
      const said: [number, number][] = [];
      const onBegin = ({ seconds, channels }: RecordingBegin) => said.push([Math.round(seconds ?? 0), channels]);
      const chunks = chunksOf(fixture(name), { onBegin });
      await chunks.next();
      const { info } = await all(chunks);
      expect(said, name).toEqual([[Math.round(info.seconds), info.channels]]);
    }
  });

  it('refuses what holds no sound, and what lasts too long, before any work', async () => {
    const nothing = {
      'page.png': await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
        .png()
        .toBuffer(),
      'text.mp3': 'This is no recording.',
    };
    for (const [name, content] of Object.entries(nothing))
      await expect(all(chunksOf(await made(name, content))), name).rejects.toEqual(error('unsupported_audio'));
    await expect(all(chunksOf(await made('empty.wav', '')))).rejects.toEqual(error('invalid_audio'));
    await expect(all(chunksOf(fixture('silent-film.mp4')))).rejects.toEqual(error('no_audio'));
    await expect(chunksOf(fixture('speech.m4a'), { maxSeconds: 10 }).next()).rejects.toEqual(error('audio_too_long'));
    // MP3 does not say how long it is.
    await expect(all(chunksOf(fixture('call.mp3'), { maxSeconds: 10 }))).rejects.toEqual(error('audio_too_long'));
    await expect(all(chunksOf(join(folder, 'missing.mp3')))).rejects.toThrow(/No such file/);
  });

  it('opens no address and no other file, whatever a file says', async () => {
    const hits: string[] = [];
    const server = createServer((request, response) => {
      hits.push(request.url ?? '');
      response.end(readFileSync(fixture('tone-mono.mp3')));
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/sound.mp3`;
    const local = fixture('speech.m4a');
    const lists = (to: string) => ({
      'list.m3u8': `#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n${to}\n#EXT-X-ENDLIST\n`,
      'list.m3u': `#EXTM3U\n${to}\n`,
      'list.ffconcat': `ffconcat version 1.0\nfile '${to}'\n`,
      'list.sdp': `v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n`,
      'list.mpd': `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT10S"><Period><AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1"><BaseURL>${to}</BaseURL></Representation></AdaptationSet></Period></MPD>`,
      'list.xspf': `<?xml version="1.0"?><playlist version="1"><trackList><track><location>${to}</location></track></trackList></playlist>`,
      'list.pls': `[playlist]\nFile1=${to}\nNumberOfEntries=1\n`,
    });
    try {
      for (const to of [url, local, `file:${local}`])
        for (const [name, content] of Object.entries(lists(to)))
          for (const as of [name, 'sound.mp3', 'sound.wav']) {
            const path = await made(as, content);
            await expect(all(chunksOf(path)), `${name} as ${as}`).rejects.toEqual(error('unsupported_audio'));
          }
      expect(hits).toEqual([]);
    } finally {
      server.close();
    }
  });

  it('goes on in a new process when one crashes, and gives no chunk twice', async () => {
    const wanted = await all(chunksOf(fixture('speech.m4a'), { maxChunkSeconds: 2 }));
    const chunks = chunksOf(fixture('speech.m4a'), { maxChunkSeconds: 2 });
    const first = await chunks.next();
    const before = decoders();
    for (const pid of before) process.kill(pid, 'SIGKILL');
    const rest = await all(chunks);
    expect({ chunks: [first.value, ...rest.chunks], info: rest.info }).toEqual(wanted);
    expect(decoders()).not.toEqual(before);
  });

  it('gives up on a recording whose decoder hangs twice', async () => {
    const path = join(folder, 'long.wav');
    // Two hours of silence that take no room: long enough to stop the process in the midst of them.
    const file = await open(path, 'w');
    await file.write(encodeWav([new Int16Array(1)], 16_000));
    const bytes = 2 * 3_600 * 32_000;
    await file.truncate(44 + bytes);
    const size = Buffer.alloc(4);
    size.writeUInt32LE(bytes);
    await file.write(size, 0, 4, 40);
    await file.close();
    const limits = { maxSeconds: 10_000, maxChunkSeconds: 28, pauseSeconds: 2 };
    const job = { want: 'chunks' as const, path, ...limits, channels: 'mix' as const };
    const stop = setInterval(() => {
      for (const pid of decoders()) process.kill(pid, 'SIGSTOP');
    }, 20);
    try {
      await expect(runDecoder(job, new AbortController().signal, { stallMs: 300 }).next()).rejects.toEqual(
        error('invalid_audio'),
      );
    } finally {
      clearInterval(stop);
      await rm(path);
    }
    expect((await all(chunksOf(fixture('speech.m4a')))).chunks).toHaveLength(2);
  });

  it('ends its process when it is told to stop, or nobody listens any more', async () => {
    const busy = async () => {
      const idle = decoders();
      const abort = new AbortController();
      const chunks = chunksOf(fixture('speech.webm'), { maxChunkSeconds: 2, signal: abort.signal });
      await chunks.next();
      return { chunks, abort, idle };
    };
    const reason = new Error('cancelled');
    const told = await busy();
    told.abort.abort(reason);
    await expect(told.chunks.next()).rejects.toBe(reason);
    const left = await busy();
    await left.chunks.return({ seconds: 0, channels: 0, speechSeconds: 0, missingSeconds: 0 });
    await expect.poll(() => decoders().length).toBe(0);
    await expect(chunksOf(fixture('speech.webm'), { signal: AbortSignal.abort(reason) }).next()).rejects.toBe(reason);
    expect(decoders()).toEqual([]);
  });

  it('has few recordings under way at once; the next waits, or gives up waiting', async () => {
    const few = Array.from({ length: 4 }, () => chunksOf(fixture('speech.webm'), { maxChunkSeconds: 2 }));
    await Promise.all(few.map((chunks) => chunks.next()));
    const reason = new Error('cancelled');
    const abort = new AbortController();
    const impatient = chunksOf(fixture('speech.webm'), { signal: abort.signal }).next();
    let started = false;
    const next = chunksOf(fixture('speech.webm')).next();
    void next.then(() => {
      started = true;
    });
    abort.abort(reason);
    await expect(impatient).rejects.toBe(reason);
    expect(decoders().length).toBe(4);
    expect(started).toBe(false);
    for (const chunks of few) await all(chunks);
    expect((await next).done).toBe(false);
  });
});
